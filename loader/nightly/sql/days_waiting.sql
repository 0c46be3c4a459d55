-- The (client, date)s that the next transform recomputes, before dbt has made the view that knows: all that runs cover.
select count(distinct (run_days.client_id, run_days.date))
from media_ops.run_days
inner join media_ops.runs_that_count on run_days.run_id = runs_that_count.run_id
