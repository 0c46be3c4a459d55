{#- A sum that is null if the figure is null in any of its rows: a partial sum would be wrong. -#}
{% macro sum_or_null(column) -%}
    case when count(*) = count({{ column }}) then sum({{ column }}) end
{%- endmacro %}
