{#- Remembers what the days of the frozen list were built from: the list's own fingerprints, not today's, and only
    if this build froze the list and every mart that depends on it succeeded. -#}
{% macro record_days_built(results) -%}
    {%- if execute and not flags.EMPTY -%}
        {%- set done = results | selectattr('status', 'equalto', 'success') | map(attribute='node.name') | list -%}
        {%- set needed = [
            'int_days_to_rebuild', 'int_names_staged', 'campaigns', 'strategies', 'placements', 'creatives',
            'daily_metrics', 'weekly_summaries', 'monthly_summaries',
        ] -%}
        {%- if needed | reject('in', done) | list | length == 0 -%}
            {%- set list = api.Relation.create(database=target.database, schema='media_models', identifier='int_days_to_rebuild') -%}
            {%- set built = api.Relation.create(database=target.database, schema='media_ops', identifier='days_built') -%}
    with own_list as (
        select * from {{ list }} where build_id = '{{ invocation_id }}'
    ),
    gone as (
        delete from {{ built }} as days_built
        using own_list
        where
            days_built.client_id = own_list.client_id and days_built.date = own_list.date
            and own_list.fingerprint is null
    )
    update {{ built }} as days_built
    set
        fingerprint = own_list.fingerprint, staged_run_ids = own_list.staged_run_ids,
        aliases_fingerprint = own_list.aliases_fingerprint, built_at = now() at time zone 'utc'
    from own_list
    where
        days_built.client_id = own_list.client_id and days_built.date = own_list.date
        and own_list.fingerprint is not null
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
