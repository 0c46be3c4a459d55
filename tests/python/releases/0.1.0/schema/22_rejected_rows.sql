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
comment on table media_ops.rejected_rows is
'Every row that could not be staged, with the line it stands on and why.';
comment on column media_ops.rejected_rows.run_id is 'The run that rejected it.';
comment on column media_ops.rejected_rows.line_number is 'The line of the file on which it starts, from 1.';
comment on column media_ops.rejected_rows.raw_line is 'Its text, cut if very long.';
comment on column media_ops.rejected_rows.reason is 'The first rule that it breaks.';
comment on column media_ops.rejected_rows.sentence is 'The same for people.';
comment on column media_ops.rejected_rows.client_name is 'The unknown client, if that is the reason.';
grant select, insert on media_ops.rejected_rows to media_loader;
