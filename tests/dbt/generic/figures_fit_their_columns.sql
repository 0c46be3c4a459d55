{#- Warns of figures that are null because they do not fit their columns, with the client and the dates. Checks the
    periods that were recomputed. -#}
{% test figures_fit_their_columns(model, period) %}
{{ config(severity='warn') }}
{%- set start = period_column(period) -%}
with days as (
    select * from {{ days_to_rebuild() }} as own_days
),

clients as (
    select * from {{ ref('stg_clients') }}
),

periods as (
    select distinct
        days.client_id,
        {{ period_start(period, 'days.date') }} as period_start
    from days
),

mart as (
    select summary.*
    from {{ model }} as summary
    inner join periods on summary.client_id = periods.client_id and summary.{{ start }} = periods.period_start
),

-- Without a CPM, a null spend is correct.
{% if period == 'day' %}
unpriced as (
    select distinct
        days.client_id,
        days.date as {{ start }}
    from days
    where days.cpm is null
),
{% else %}
unpriced as (
    select
        mart.client_id,
        mart.{{ start }}
    from mart
    cross join lateral (
        select bool_or(daily_metrics.spend is null) as is_unpriced
        from {{ ref('daily_metrics') }} as daily_metrics
        where
            daily_metrics.client_id = mart.client_id
            and daily_metrics.date between mart.{{ start }} and mart.{{ period }}_end
    ) as days_of_period
    where mart.spend is null and days_of_period.is_unpriced
),
{% endif %}

missing as (
    select
        mart.client_id,
        mart.{{ start }} as date,
        {{ figures_missing('mart', period, 'unpriced.client_id is null') }} as figures
    from mart
    left join unpriced on mart.client_id = unpriced.client_id and mart.{{ start }} = unpriced.{{ start }}
),

named as (
    select
        clients.client_name,
        '{{ model.identifier }}' as mart,
        missing.figures,
        min(missing.date) as first_date,
        max(missing.date) as last_date,
        count(*) as row_count
    from missing
    inner join clients on missing.client_id = clients.client_id
    where missing.figures <> ''
    group by clients.client_name, missing.figures
)

select * from named
{% endtest %}
