{#- Removes the limit of --empty from what views and tests read. With the limit, a view would stay empty after the build,
    and a test would look up a subquery in the catalogue. Only tables read nothing under --empty. -#}
{% macro unlimited(relation) %}
    {%- set reads_all = model is defined and (
        model.resource_type == 'test' or (model.config is defined and model.config.materialized == 'view')
    ) -%}
    {%- do return(relation.incorporate(limit=none) if reads_all and relation.limit is not none else relation) -%}
{% endmacro %}
