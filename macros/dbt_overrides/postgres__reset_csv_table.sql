{#- A seed is read by views while another build loads it again. The stock `truncate` shows an empty table to a
    statement that had begun before; deleted rows stay visible to it. The lock makes a second build's delete see the
    first one's rows. -#}
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
