{#- A summary's figures are the sums of daily_metrics, to the cent, and null only if the sum is null, too. Checks the
    periods that were recomputed, or the whole history: --vars 'reconcile: all'. -#}
{% test sums_of_daily_metrics(model, period) %}
{%- set start, end = period_column(period), period ~ '_end' -%}
{%- set whole_history = var('reconcile') == 'all' -%}
with daily_metrics as not materialized ( -- it is read twice, and a materialized step has no index
    select * from {{ ref('daily_metrics') }}
),

{% if whole_history %}
days as (
    select distinct
        daily_metrics.client_id,
        daily_metrics.date
    from daily_metrics
),
{% else %}
days as (
    select * from {{ days_to_rebuild() }} as own_days
),
{% endif %}

periods_started as (
    select distinct
        days.client_id,
        {{ period_start(period, 'days.date') }} as period_start
    from days
),

periods as (
    select
        periods_started.*,
        {{ period_end(period, 'periods_started.period_start') }} as period_end
    from periods_started
),

summaries as (
    select
        summary.*,
        summary.{{ start }} as period_start
    from {{ model }} as summary
    {% if not whole_history %}
    inner join periods on summary.client_id = periods.client_id and summary.{{ start }} = periods.period_start
    {% endif %}
),

-- For each period by index, as in the macro `summarized`.
sums as (
    select
        periods.client_id,
        periods.period_start,
        period_sums.*
    from periods
    cross join lateral (
        select {{ fitted_sums('daily_metrics', period) }}
        from daily_metrics
        where
            daily_metrics.client_id = periods.client_id
            and daily_metrics.date between periods.period_start and periods.period_end
        having count(*) > 0
    ) as period_sums
),

differing as (
    select
        coalesce(summaries.client_id, sums.client_id) as client_id,
        coalesce(summaries.period_start, sums.period_start) as {{ start }}
    from summaries
    full join sums on summaries.client_id = sums.client_id and summaries.period_start = sums.period_start
    where
        (summaries.client_id is null) <> (sums.client_id is null)
        {% for name in mart_figures(period) %}
        or summaries.{{ name }} is distinct from sums.{{ name }}
        {% endfor %}
        or summaries.{{ end }} <> {{ period_end(period, 'sums.period_start') }}
)

select * from differing
{% endtest %}
