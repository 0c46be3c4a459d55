{#- Deletes names that no longer occur in any run that counts. Runs after daily_metrics, when no row refers to them any
    more. Names can vanish only after a retraction, a changed alias or an unfinished build, so only then are the clients
    concerned read again. -#}
{% macro delete_vanished_names() -%}
    {%- if execute and not flags.EMPTY and run_query(
        'select exists (select 1 from ' ~ days_to_rebuild() ~ ' as days where names_may_vanish)'
    ).columns[0].values()[0] -%}
    create temporary table remaining_names on commit drop as
    with clients as (
        select distinct client_id from {{ days_to_rebuild() }} as days where names_may_vanish
    ),

    staged as (
        select distinct
            staging.client_id,
            {{ staged_names('staging') }}
        from clients
        inner join {{ ref('int_days_fingerprinted') }} as days on clients.client_id = days.client_id
        cross join unnest(days.staged_run_ids) as run (id)
        inner join {{ ref('stg_media_rows') }} as staging
            on run.id = staging.run_id and days.client_id = staging.client_id and days.date = staging.date
    )

    {{ names_after_aliases('staged', ref('int_name_aliases')) }};
        {%- for level in levels() %}
    create index on remaining_names (client_id, {{ level }}_id);
        {%- endfor %}
    analyze remaining_names;
        {%- for level, table in levels().items() | list | reverse %}
    delete from {{ this.incorporate(path={'identifier': table}) }} as dimension
    where
        dimension.client_id in (select client_id from {{ days_to_rebuild() }} as days where names_may_vanish)
        and not exists (
            select 1
            from remaining_names
            where remaining_names.client_id = dimension.client_id and remaining_names.{{ level }}_id = dimension.id
        )
        and not exists (
            select 1
            from {{ this }} as daily_metrics
            where daily_metrics.client_id = dimension.client_id and daily_metrics.{{ level }}_id = dimension.id
        );
        {%- endfor %}
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}
