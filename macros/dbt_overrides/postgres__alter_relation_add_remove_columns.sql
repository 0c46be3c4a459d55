{#- Adds columns as dbt does it, but without making readers wait: `alter table` needs a lock that no reader may hold, and
    whoever reads after it has asked for the lock waits behind it. -#}
{% macro postgres__alter_relation_add_remove_columns(relation, add_columns, remove_columns) -%}
    {%- do run_query(change_when_free(relation, 'lock table ' ~ relation ~ ' in access exclusive mode')) -%}
    {{ return(default__alter_relation_add_remove_columns(relation, add_columns, remove_columns)) }}
{%- endmacro %}
