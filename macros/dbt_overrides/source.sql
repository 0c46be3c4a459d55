{#- See unlimited. -#}
{% macro source() %}
    {%- do return(unlimited(builtins.source(*varargs, **kwargs))) -%}
{% endmacro %}
