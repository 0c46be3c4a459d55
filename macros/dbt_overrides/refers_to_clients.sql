{#- Whether a constraint of a column is a foreign key to clients. -#}
{% macro refers_to_clients(constraint) -%}
    {%- set given = ((constraint.to or constraint.expression or '') | string).replace('"', '') -%}
    {{ return(constraint.type == 'foreign_key' and 'media.clients' in given.split('(')[0]) }}
{%- endmacro %}
