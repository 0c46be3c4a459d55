{#- Empties a seed without TRUNCATE. Views of another build may read the seed while it is loaded: a statement that began
    earlier finds a truncated table empty, but still sees deleted rows. The lock makes a second build's delete see the
    rows that the first one inserted. -#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {%- if full_refresh -%}
        {{ return(default__reset_csv_table(model, full_refresh, old_relation, agate_table)) }}
    {%- endif -%}
    {%- set sql = 'delete from ' ~ old_relation -%}
    {%- call statement('reset') -%}
    lock table {{ old_relation }} in share row exclusive mode;
    {{ sql }}
    {%- endcall -%}
    {{ return(sql) }}
{%- endmacro %}
