-- Which of the runs that count are in force: of each key the latest, and of equal parts the earliest.
with runs as (
    select * from {{ ref('stg_runs') }}
),

feeds as (
    select * from {{ ref('stg_feeds') }}
),

-- The latest run of each object key.
latest_of_key as (
    select distinct on (runs.bucket, runs.object_key)
        runs.run_id,
        runs.feed_location,
        runs.object_key,
        runs.sha256,
        runs.last_modified,
        coalesce(feeds.redelivery, 'replace') as redelivery,
        case when feeds.client_from_key then runs.key_client_id end as key_client_id
    from runs
    left join feeds on runs.feed_location = feeds.feed_location
    order by runs.bucket, runs.object_key, runs.run_number desc
),

-- In an append feed, the same content under another key is a copy of the same part.
copies_numbered as (
    select
        latest_of_key.*,
        row_number() over (
            partition by latest_of_key.feed_location, latest_of_key.sha256, latest_of_key.key_client_id
            order by latest_of_key.last_modified, latest_of_key.object_key
        ) as copy_number
    from latest_of_key
),

in_force as (
    select
        copies_numbered.run_id,
        copies_numbered.feed_location,
        copies_numbered.object_key,
        copies_numbered.last_modified,
        copies_numbered.redelivery
    from copies_numbered
    where copies_numbered.redelivery = 'replace' or copies_numbered.copy_number = 1
)

select * from in_force
