-- The latest day of each feed's rows, and when the feed last loaded something. (A feed that moved is one feed.)
select feeds.name, max(run_days.date), max(runs_that_count.finished_at)
from media_ops.feeds
inner join media_ops.feed_places
    on feeds.location = feed_places.location and feeds.location = feed_places.feed_location
left join media_ops.runs_that_count on feeds.location = runs_that_count.feed_location
left join media_ops.run_days on runs_that_count.run_id = run_days.run_id
group by feeds.location, feeds.name
order by feeds.name
