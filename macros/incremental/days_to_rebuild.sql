{#- The work of this build. A build that froze the list itself reads its own list alone: if another one has frozen a
    new list since, that one rebuilds these days too, from names that it has yet to make. A command that froze none
    (dbt run -s daily_metrics+, dbt test) takes the list as it stands. -#}
{% macro days_to_rebuild() -%}
    (
        select * from {{ ref('int_days_to_rebuild') }}
        {%- if freezes_the_list() %} where build_id = '{{ invocation_id }}'{% endif %}
    )
{%- endmacro %}
