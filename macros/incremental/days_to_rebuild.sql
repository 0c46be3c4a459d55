{#- The days that this build recomputes. A build that froze a list reads only its own: if another build has frozen a new
    list meanwhile, that build recomputes these days too, with names that do not exist yet. A command that froze no list
    (dbt run -s daily_metrics+, dbt test) reads the existing list. -#}
{% macro days_to_rebuild() -%}
    {{ own_days_in(ref('int_days_to_rebuild')) }}
{%- endmacro %}
