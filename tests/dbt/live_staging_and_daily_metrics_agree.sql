-- The live rows and daily_metrics have the same totals for each client and day, to the cent. Checks the days that were
-- recomputed, or the whole history: --vars 'reconcile: all'. sums_of_daily_metrics does the same for the summaries.
{% set whole_history = var('reconcile') == 'all' %}

with days as (
    select * from {{ days_to_rebuild() }} as own_days
),

media_rows as (
    select * from {{ ref('stg_media_rows') }}
),

daily_metrics as (
    select * from {{ ref('daily_metrics') }}
),

{% if whole_history %}
days_compared as (
    select * from {{ ref('int_days_compared') }}
),

-- The days whose staged runs are still those that the day was built from.
days_up_to_date as (
    select
        days_compared.client_id,
        days_compared.date,
        days_compared.live_run_ids
    from days_compared
    inner join {{ ref('stg_days_built') }} as days_built
        on days_compared.client_id = days_built.client_id and days_compared.date = days_built.date
    left join days on days_compared.client_id = days.client_id and days_compared.date = days.date
    where
        days.client_id is null
        and days_built.fingerprint is not null
        and days_compared.staged_run_ids = days_built.staged_run_ids
),

days_to_check as (
    select
        days.client_id,
        days.date,
        days.live_run_ids
    from days
    union all
    select * from days_up_to_date
),

-- The other days wait for the next build: their runs changed during this one.
days_waiting as ( -- noqa: ST03
    select
        days_compared.client_id,
        days_compared.date
    from days_compared
    left join days_to_check
        on days_compared.client_id = days_to_check.client_id and days_compared.date = days_to_check.date
    where days_to_check.client_id is null
),
{% else %}
days_to_check as (
    select * from days
),
{% endif %}

runs_to_read as (
    select
        days_to_check.client_id,
        days_to_check.date,
        unnest(days_to_check.live_run_ids) as run_id
    from days_to_check
),

staged as (
    select
        media_rows.client_id,
        media_rows.date,
        {{ summed_rows('media_rows') }}
    from runs_to_read
    inner join media_rows
        on
            runs_to_read.run_id = media_rows.run_id
            and runs_to_read.client_id = media_rows.client_id
            and runs_to_read.date = media_rows.date
    group by media_rows.client_id, media_rows.date
),

daily as (
    select
        daily_metrics.client_id,
        daily_metrics.date,
        {{ sums_or_null('daily_metrics') }}
    from daily_metrics
    {% if whole_history %}
    left join days_waiting
        on daily_metrics.client_id = days_waiting.client_id and daily_metrics.date = days_waiting.date
    where days_waiting.client_id is null
    {% else %}
    inner join days on daily_metrics.client_id = days.client_id and daily_metrics.date = days.date
    {% endif %}
    group by daily_metrics.client_id, daily_metrics.date
),

differing as (
    select
        coalesce(staged.client_id, daily.client_id) as client_id,
        coalesce(staged.date, daily.date) as date
    from staged
    full join daily on staged.client_id = daily.client_id and staged.date = daily.date
    where
        (staged.client_id is null) <> (daily.client_id is null)
        -- A figure that does not fit its column is null in daily_metrics, and figures_fit_their_columns warns of it.
        -- Counts are never negative: if one does not fit, the sum does not fit either. Amounts may be negative, so a
        -- sum that is null in daily_metrics is not compared.
        {% for name, kind in additive_figures().items() %}
        {% if kind == 'count' %}
        or {{ fitted_count('staged.' ~ name) }} is distinct from {{ fitted_count('daily.' ~ name) }}
        {% else %}
        or staged.{{ name }} <> daily.{{ name }}
        {% endif %}
        {% endfor %}
)

select * from differing
