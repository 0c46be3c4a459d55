-- The unknown clients in the files of a bucket that wait for --retry. A name of more than 255 characters matches no client.
select distinct waiting.run_id, rejected_rows.client_name
from media_ops.runs_waiting_for_retry as waiting
inner join media_ops.rejected_rows on waiting.run_id = rejected_rows.run_id
where
    waiting.bucket = %(bucket)s
    and rejected_rows.reason = 'client'
    and length(rejected_rows.client_name) <= 255
