{#- See ref. -#}
{% macro source() %}
    {%- set relation = builtins.source(*varargs, **kwargs) -%}
    {%- if model is defined and model.config is defined and model.config.materialized == 'view' and relation.limit is not none -%}
        {%- do return(relation.incorporate(limit=none)) -%}
    {%- endif -%}
    {%- do return(relation) -%}
{% endmacro %}
