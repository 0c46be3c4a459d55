{#- The post-hook that gives a mart its policies, grants and updated_at trigger, in the transaction that creates it. -#}
{% macro protect_mart() -%}
    {%- if model.config.materialized in ('incremental', 'table') -%}
    select media_ops.protect_mart('{{ this }}')
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}
