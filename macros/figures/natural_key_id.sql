{#- A uuid from a natural key: the md5 of a JSON array, so that ('a-b', 'c') and ('a', 'b-c') differ. -#}
{% macro natural_key_id(kind, columns) -%}
    md5(json_build_array('{{ kind }}', {{ columns | join(', ') }})::text)::uuid
{%- endmacro %}
