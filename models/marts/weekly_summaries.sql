{{ config(unique_key=['client_id', 'week_start'], meta={'period': 'week'}) }}

with summarized as (
    {{ summarized('week') }}
),

weekly_summaries as (
    select
        {{ natural_key_id('weekly_summaries', ['summarized.client_id', 'summarized.period_start']) }} as id,
        summarized.client_id,
        summarized.period_start as week_start,
        summarized.period_end as week_end,
        {{ columns_of('summarized', mart_figures('week')) }},
        {{ columns_of('summarized', ratios()) }},
        summarized.top_campaigns,
        summarized.top_creatives,
        {{ utc_now() }} as created_at
    from summarized
)

select * from weekly_summaries
