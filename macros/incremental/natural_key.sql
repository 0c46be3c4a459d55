{#- The columns of the model's unique_key, as a list. -#}
{% macro natural_key() -%}
    {%- set given = config.get('unique_key') or [] -%}
    {{ return([given] if given is string else given | list) }}
{%- endmacro %}
