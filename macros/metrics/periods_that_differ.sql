{#- The periods of a summary whose sums are not those of `daily` (sums by client and date), null-safe. -#}
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
            daily.client_id,
            date_trunc('{{ period }}', daily.date)::date as period_start,
            {{ summed_figures() }}
        from daily
        {%- if not all_of_it %}
        where
            (daily.client_id, date_trunc('{{ period }}', daily.date)::date)
            in (select client_id, {{ period }}_start from days)
        {%- endif %}
        group by daily.client_id, date_trunc('{{ period }}', daily.date)::date
    ) as sums on summary.client_id = sums.client_id and summary.{{ period }}_start = sums.period_start
    where
        (summary.client_id is null) <> (sums.client_id is null)
        or summary.impressions is distinct from sums.impressions
        or summary.clicks is distinct from sums.clicks
        or summary.conversions is distinct from sums.conversions
        or summary.revenue is distinct from sums.revenue
        or summary.spend is distinct from sums.spend
{%- endmacro %}
