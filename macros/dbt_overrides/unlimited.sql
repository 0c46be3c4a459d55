{#- Under --empty dbt has every model read nothing. A view made so would stay empty, and a test would ask the catalogue
    about a subquery: they read what is there; only tables read nothing. -#}
{% macro unlimited(relation) %}
    {%- set reads_all = model is defined and (
        model.resource_type == 'test' or (model.config is defined and model.config.materialized == 'view')
    ) -%}
    {%- do return(relation.incorporate(limit=none) if reads_all and relation.limit is not none else relation) -%}
{% endmacro %}
