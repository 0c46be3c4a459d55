{{ config(unique_key=['client_id', 'month_start'], meta={'period': 'month'}) }}

with summarized as (
    {{ summarized('month') }}
),

monthly_summaries as (
    select
        {{ natural_key_id('monthly_summaries', ['summarized.client_id', 'summarized.period_start']) }} as id,
        summarized.client_id,
        summarized.period_start as month_start,
        summarized.period_end as month_end,
        {{ columns_of('summarized', mart_figures('month')) }},
        {{ columns_of('summarized', ratios()) }},
        summarized.top_campaigns,
        summarized.top_creatives,
        {{ utc_now() }} as created_at
    from summarized
)

select * from monthly_summaries
