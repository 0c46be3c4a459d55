{#- The work of this build. A build that froze the list itself reads its own list alone: if another one has frozen a
    new list since, that one rebuilds these days too, from names that it has yet to make. A command that froze none
    (dbt run -s daily_metrics+, dbt test) takes the list as it is. -#}
{% macro days_to_rebuild() -%}
    {{ own_days_in(ref('int_days_to_rebuild')) }}
{%- endmacro %}
