-- Every row that could not be staged, with the line it stands on and why.
create table if not exists media_ops.rejected_rows (
    run_id uuid not null references media.ingestion_logs (id) on update cascade on delete restrict,
    line_number bigint not null,
    raw_line text not null,
    reason text not null check (reason in ('fields', 'date', 'number', 'name', 'client')),
    sentence text not null,
    client_name text,
    primary key (run_id, line_number)
);
grant select, insert on media_ops.rejected_rows to media_loader;
