{#- Renames a table or view as dbt does it when it swaps one for a new one, but without making readers wait. -#}
{% macro postgres__rename_relation(from_relation, to_relation) -%}
    {%- set change = 'alter table ' ~ from_relation ~ ' rename to ' ~ adapter.quote(to_relation.identifier) -%}
    {% call statement('rename_relation') -%}
    {{ change_when_free(from_relation, change) }}
    {%- endcall %}
{%- endmacro %}
