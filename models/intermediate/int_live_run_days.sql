-- The runs whose rows are live, for each (client, date): of the latest delivery, the latest run of each part.
with days_covered as (
    select * from {{ ref('int_days_covered') }}
),

-- Without a group `delivery` in key_pattern, all runs of a feed belong to one delivery.
ranked as (
    select
        days_covered.client_id,
        days_covered.date,
        days_covered.run_id,
        days_covered.has_rows,
        days_covered.delivery,
        first_value(days_covered.delivery) over (
            partition by days_covered.feed_location, days_covered.client_id, days_covered.date
            order by days_covered.recency desc
        ) as latest_delivery,
        row_number() over (
            partition by
                days_covered.feed_location, days_covered.client_id, days_covered.date,
                days_covered.delivery, days_covered.part
            order by days_covered.recency desc
        ) as latest_first
    from days_covered
),

-- If the latest run covers a day without having rows of it, the day is zero.
live as (
    select
        ranked.client_id,
        ranked.date,
        ranked.run_id
    from ranked
    where ranked.delivery = ranked.latest_delivery and ranked.latest_first = 1 and ranked.has_rows
)

select * from live
