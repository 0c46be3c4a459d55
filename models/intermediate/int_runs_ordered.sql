-- The runs that count, with the settings of their feed, the part that each is, and which is later than which.
with runs as (
    select * from {{ ref('stg_runs') }}
),

feeds as (
    select * from {{ ref('stg_feeds') }}
),

ordered as (
    select
        runs.run_id,
        runs.run_number,
        runs.feed_location,
        runs.file,
        runs.sha256,
        runs.key_date,
        runs.key_client_id,
        coalesce(feeds.redelivery, 'replace') as redelivery,
        coalesce(feeds.covers, 'rows') as covers,
        coalesce(feeds.same_key, 'replaces') as same_key,
        coalesce(feeds.client_from_key, false) as client_from_key,
        runs.part is not null as has_parts,
        runs.delivery is not null as has_deliveries,
        -- Without a group, each file is a part if files add up or belong to a delivery; otherwise there is only one.
        case
            when runs.part is not null then runs.part
            when feeds.redelivery = 'append' or runs.delivery is not null then runs.file
            else ''
        end as part,
        coalesce(runs.delivery, '') as delivery,
        row_number() over (order by runs.last_modified, runs.file, runs.run_number) as recency
    from runs
    left join feeds on runs.feed_location = feeds.feed_location
)

select * from ordered
