-- The runs whose keys were read with other settings than those of the current feeds.yml. (In order, so that two commands
-- that write them at the same time do not wait for each other.)
select
    ingestion_logs.id,
    feed_places.feed_location,
    media_ops.file_of(ingestion_logs.object_uri, ingestion_logs.feed_location, feed_places.feed_location) as file
from unnest(%(locations)s::text [], %(key_rules)s::text []) as declared (location, key_rules)
inner join media_ops.feed_places on declared.location = feed_places.feed_location
inner join media.ingestion_logs on feed_places.location = ingestion_logs.feed_location
left join media_ops.run_keys on ingestion_logs.id = run_keys.run_id
where
    ingestion_logs.status = 'success'
    and ingestion_logs.same_content_as is null
    and run_keys.key_rules is distinct from declared.key_rules
order by ingestion_logs.id
