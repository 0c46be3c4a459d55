{#- See unlimited. -#}
{% macro ref() %}
    {%- do return(unlimited(builtins.ref(*varargs, **kwargs))) -%}
{% endmacro %}
