{#- dbt's source, except that --empty does not limit views and tests: see unlimited. -#}
{% macro source() %}
    {%- do return(unlimited(builtins.source(*varargs, **kwargs))) -%}
{% endmacro %}
