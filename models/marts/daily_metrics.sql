{{ config(
    unique_key=['date', 'creative_id'], meta={'period': 'day'}, post_hook="{{ delete_vanished_names() }}"
) }}

-- depends_on: {{ ref('creatives') }} (the target of a foreign key)
-- depends_on: {{ ref('int_days_fingerprinted') }} {{ ref('int_name_aliases') }} (read by delete_vanished_names)

with days_to_rebuild as (
    select * from {{ days_to_rebuild() }} as own_days
),

media_rows as (
    select * from {{ ref('stg_media_rows') }}
),

names as (
    select * from {{ ref('int_names_staged') }}
),

runs_to_read as (
    select
        days_to_rebuild.client_id,
        days_to_rebuild.date,
        days_to_rebuild.cpm,
        unnest(days_to_rebuild.live_run_ids) as run_id
    from days_to_rebuild
),

-- Rows with the same key add up, from one feed or several.
summed as (
    select
        media_rows.client_id,
        media_rows.date,
        runs_to_read.cpm,
        names.campaign_id,
        names.strategy_id,
        names.placement_id,
        names.creative_id,
        {{ summed_rows('media_rows') }}
    from runs_to_read
    inner join media_rows
        on
            runs_to_read.run_id = media_rows.run_id
            and runs_to_read.client_id = media_rows.client_id
            and runs_to_read.date = media_rows.date
    inner join names
        on
            media_rows.client_id = names.client_id
            and {{ names_hash('media_rows.{}_name') }} = {{ names_hash('names.staged_{}') }}
            and media_rows.campaign_name = names.staged_campaign
            and media_rows.strategy_name = names.staged_strategy
            and media_rows.placement_name = names.staged_placement
            and media_rows.creative_name = names.staged_creative
    group by
        media_rows.client_id, media_rows.date, names.creative_id, names.campaign_id, names.strategy_id,
        names.placement_id, runs_to_read.cpm
),

-- A figure that does not fit its column is null, and so is everything that is computed from it.
fitted as (
    select
        summed.client_id,
        summed.date,
        summed.cpm,
        summed.campaign_id,
        summed.strategy_id,
        summed.placement_id,
        summed.creative_id,
        {{ fitted_rows('summed') }}
    from summed
),

-- Without a CPM, the spend is unknown: null, not zero.
-- `offset 0`, here and in the next step, makes PostgreSQL compute each expression once, not again wherever it is used.
priced as (
    select
        fitted.*,
        {{ fitted('fitted.impressions * fitted.cpm / 1000', 12, 2) }} as spend
    from fitted
    offset 0 -- noqa: AM09
),

divided as (
    select
        priced.*,
        {{ exact_ratios('day') }}
    from priced
    offset 0 -- noqa: AM09
),

daily_metrics as (
    select
        {{ natural_key_id('daily_metrics', ['divided.date', 'divided.creative_id']) }} as id,
        divided.client_id,
        divided.date,
        divided.campaign_id,
        divided.strategy_id,
        divided.placement_id,
        divided.creative_id,
        {{ columns_of('divided', mart_figures('day')) }},
        {{ fitted_ratios() }},
        {{ utc_now() }} as created_at,
        {{ utc_now() }} as updated_at
    from divided
)

select * from daily_metrics
