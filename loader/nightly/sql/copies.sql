-- The runs whose message has to say, or no longer, that they are copies of another run.
select
    ingestion_logs.id,
    ingestion_logs.message,
    in_force.copy_of_run_id
from ({int_runs_in_force}) as in_force
inner join media.ingestion_logs on in_force.run_id = ingestion_logs.id
where (in_force.copy_of_run_id is not null) <> (strpos(ingestion_logs.message, %(note)s) > 0)
    or strpos(ingestion_logs.message, %(note)s || in_force.copy_of_run_id) = 0
