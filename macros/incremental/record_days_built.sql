{#- Records what the days of the work list were built from, with the fingerprints that the list froze, not the current
    ones. It does so only if this build froze the list, every mart succeeded, and the aliases are still those of the list
    (the list does not freeze the aliases themselves). The lock comes before the statement that reads the list, in the
    same transaction: if another build has frozen a new list meanwhile, the days that it marked must stay marked. -#}
{% macro record_days_built(results) -%}
    {%- if execute and not flags.EMPTY -%}
        {%- set done = results | selectattr('status', 'equalto', 'success') | map(attribute='node.name') | list -%}
        {%- set needed = ['int_days_to_rebuild', 'int_names_staged'] + marts() | map(attribute='name') | list -%}
        {%- if needed | reject('in', done) | list | length == 0 -%}
            {%- set list = build_table('int_days_to_rebuild') -%}
            {%- set aliases = build_table('int_aliases_fingerprinted') -%}
            {%- set built = build_table('days_built') -%}
    begin;
    {{ lock_marts() }};
    with own_list as (
        select * from {{ list }} where build_id = '{{ invocation_id }}'
    ),
    deleted as (
        delete from {{ built }} as days_built
        using own_list
        where
            days_built.client_id = own_list.client_id and days_built.date = own_list.date
            and own_list.fingerprint is null
    ),
    changed_aliases as (
        select distinct own_list.client_id
        from own_list
        left join {{ aliases }} as aliases on own_list.client_id = aliases.client_id
        where own_list.aliases_fingerprint <> coalesce(aliases.aliases_fingerprint, '')
    )
    update {{ built }} as days_built
    set
        fingerprint = own_list.fingerprint, staged_run_ids = own_list.staged_run_ids,
        live_run_ids = own_list.live_run_ids, cpm = own_list.cpm,
        aliases_fingerprint = own_list.aliases_fingerprint, built_at = now() at time zone 'utc'
    from own_list
    where
        days_built.client_id = own_list.client_id and days_built.date = own_list.date
        and own_list.fingerprint is not null
        and own_list.client_id not in (select changed_aliases.client_id from changed_aliases);
    commit
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
