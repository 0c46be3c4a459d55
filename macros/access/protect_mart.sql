{#- Row-level security, and the trigger that moves updated_at, from the transaction that makes the table on. -#}
{% macro protect_mart() -%}
    {% raw %}select media_ops.protect_by_client('{{ this }}', 'client_id')
    {%- if 'updated_at' in (model.columns.keys() | list) %}, media_ops.auto_update('{{ this }}'){% endif %}{% endraw %}
{%- endmacro %}
