{#- Row-level security, and the trigger that moves updated_at, from the transaction that creates the table on. -#}
{% macro protect_mart() -%}
    {%- if model.config.materialized in ('incremental', 'table') -%}
    select media_ops.protect_mart('{{ this }}')
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}
