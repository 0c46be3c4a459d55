{#- A view made under --empty must not stay empty: only tables read nothing then. -#}
{% macro ref() %}
    {%- set relation = builtins.ref(*varargs, **kwargs) -%}
    {%- if model is defined and model.config is defined and model.config.materialized == 'view' and relation.limit is not none -%}
        {%- do return(relation.incorporate(limit=none)) -%}
    {%- endif -%}
    {%- do return(relation) -%}
{% endmacro %}
