-- The (client, date)s for which a run staged rows. Written in the transaction that stages the rows, so that deciding
-- which rows are live does not need the rows themselves.
create table if not exists media_ops.run_days (
    run_id uuid not null references media.ingestion_logs (id) on update cascade on delete restrict,
    client_id uuid not null references media.clients (id) on update cascade on delete restrict,
    date date not null,
    row_count bigint not null check (row_count > 0),
    primary key (run_id, client_id, date)
);
comment on table media_ops.run_days is
'The (client, date)s for which a run staged rows.';
comment on column media_ops.run_days.run_id is 'The run.';
comment on column media_ops.run_days.client_id is 'The client.';
comment on column media_ops.run_days.date is 'The date.';
comment on column media_ops.run_days.row_count is 'How many rows the run staged for this client and date.';
grant select, insert on media_ops.run_days to media_loader;
grant select on media_ops.run_days to media_transformer;
