-- Rows without names that contain the sum of the other rows of their file, or of its other rows of the same client and
-- date: if they are totals, everything counts twice.
create table if not exists media_ops.summary_rows (
    run_id uuid not null references media.ingestion_logs (id) on update cascade on delete restrict,
    client_id uuid not null references media.clients (id) on update cascade on delete restrict,
    date date not null,
    impressions bigint not null,
    primary key (run_id, client_id, date)
);
comment on table media_ops.summary_rows is
'Rows without names that contain the sum of their file''s other rows, so that everything may count twice.';
comment on column media_ops.summary_rows.run_id is 'The run that staged it.';
comment on column media_ops.summary_rows.client_id is 'Its client.';
comment on column media_ops.summary_rows.date is 'Its date.';
comment on column media_ops.summary_rows.impressions is 'Its impressions.';
grant select, insert on media_ops.summary_rows to media_loader;
grant select on media_ops.summary_rows to media_transformer;
