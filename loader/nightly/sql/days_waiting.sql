-- Used before the first build, when int_days_compared does not exist yet: every client and date that a run covers.
select count(distinct (run_days.client_id, run_days.date))
from media_ops.run_days
inner join media_ops.runs_that_count on run_days.run_id = runs_that_count.run_id
