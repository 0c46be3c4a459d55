-- Until which day the rows of each feed reach, and when it last loaded something.
select feeds.name, max(run_days.date), max(ingestion_logs.finished_at)
from media_ops.feeds
left join media.ingestion_logs
    on
        ingestion_logs.feed_location = feeds.location and ingestion_logs.status = 'success'
        and ingestion_logs.retracted_at is null
left join media_ops.run_days on run_days.run_id = ingestion_logs.id
group by feeds.location, feeds.name
order by feeds.name
