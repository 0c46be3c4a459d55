{#- Locks the marts until the end of the transaction. The lock is taken before the statement that reads, so that of two
    builds the later one reads what the earlier one wrote. Summaries only read the other marts, so they share the lock,
    and one build makes its summaries in parallel. Each summary is locked itself, too, so a second build still waits. -#}
{% macro lock_marts() -%}
    {%- set summary_exists = (
        model is defined and model.config.get('meta', {}).get('period', 'day') != 'day' and freezes_the_list()
        and load_relation(this) is not none
    ) -%}
    select
    {%- if summary_exists %}
        media_ops.run_when_free('media_ops.marts_lock', 'lock table media_ops.marts_lock in share mode'),
        media_ops.run_when_free('{{ this }}', 'lock table {{ this }} in share row exclusive mode')
    {%- else %}
        media_ops.run_when_free('media_ops.marts_lock', 'lock table media_ops.marts_lock in exclusive mode')
    {%- endif -%}
{%- endmacro %}
