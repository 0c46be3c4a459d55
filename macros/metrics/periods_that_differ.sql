{#- The periods of a summary whose sums are not those of daily_metrics, null-safe. -#}
{% macro periods_that_differ(period, summaries, all_of_it) -%}
    select
        'daily and {{ period }}ly' as layers,
        coalesce(summary.client_id, sums.client_id) as client_id,
        coalesce(summary.{{ period }}_start, sums.period_start) as date
    from (
        select * from {{ summaries }}
        {%- if not all_of_it %}
        where (client_id, {{ period }}_start) in (select client_id, {{ period }}_start from days)
        {%- endif %}
    ) as summary
    full join (
        select
            periods.client_id,
            periods.period_start,
            {{ summed_figures() }}
        from (
            {%- if all_of_it %}
            select distinct client_id, date_trunc('{{ period }}', date)::date as period_start from daily_metrics
            {%- else %}
            select distinct client_id, {{ period }}_start as period_start from days
            {%- endif %}
        ) as periods
        inner join daily_metrics
            on
                periods.client_id = daily_metrics.client_id
                and daily_metrics.date >= periods.period_start
                and daily_metrics.date < periods.period_start + interval '1 {{ period }}'
        group by periods.client_id, periods.period_start
    ) as sums on summary.client_id = sums.client_id and summary.{{ period }}_start = sums.period_start
    where
        (summary.client_id is null) <> (sums.client_id is null)
        or summary.impressions is distinct from sums.impressions
        or summary.clicks is distinct from sums.clicks
        or summary.conversions is distinct from sums.conversions
        or summary.revenue is distinct from sums.revenue
        or summary.spend is distinct from sums.spend
{%- endmacro %}
