-- The number of days that the next build recomputes: days whose staged runs, live runs or CPM are not those that the
-- day was last built from, and days whose build did not finish. (A build also recomputes days whose aliases or rules
-- changed; it learns of those from the checkout.)
select count(*)
from ({int_days_staged}) as days
full join media_ops.days_built on days.client_id = days_built.client_id and days.date = days_built.date
where
    days.client_id is null
    or days_built.fingerprint is null
    or days.staged_run_ids <> days_built.staged_run_ids
    or days.live_run_ids <> days_built.live_run_ids
    or (days.cpm is distinct from days_built.cpm and days_built.live_run_ids is not null)
