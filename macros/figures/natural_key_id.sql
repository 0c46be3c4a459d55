{#- A uuid from a natural key: the md5 of a JSON array, which keeps ('a-b', 'c') and ('a', 'b-c') apart. -#}
{% macro natural_key_id(kind, columns) -%}
    md5(json_build_array('{{ kind }}', {{ columns | join(', ') }})::text)::uuid
{%- endmacro %}
