{#- Whether a constraint of a column is a foreign key to clients. -#}
{% macro refers_to_clients(constraint) -%}
    {{ return(constraint.type == 'foreign_key' and constraint.to == source('media', 'clients') | string) }}
{%- endmacro %}
