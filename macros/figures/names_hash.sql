{#- A hash of the four names of a row, whose columns are given as a pattern: names_hash('media_rows.{}_name'). By it a
    join finds names through an index: the names themselves can be too long for one. Rows with the same hash can still
    have different names. -#}
{% macro names_hash(pattern) -%}
    {%- set hash = ['0'] -%}
    {%- for level in levels() -%}
        {%- do hash.append('hashtextextended(' ~ pattern.format(level) ~ ', ' ~ hash.pop() ~ ')') -%}
    {%- endfor -%}
    {{ hash[0] }}
{%- endmacro %}
