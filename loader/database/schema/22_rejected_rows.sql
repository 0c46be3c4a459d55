-- The rows that could not be staged, with their line number and the reason. Of a run that failed because of them, the
-- first 10,000.
create table if not exists media_ops.rejected_rows (
    run_id uuid not null references media.ingestion_logs (id) on update cascade on delete restrict,
    line_number bigint not null,
    raw_line text not null,
    reason text not null, -- one of Reason in loader/files/records.py
    sentence text not null,
    client_name text,
    primary key (run_id, line_number)
);
-- 0.1.0 listed the reasons in a check, too
select media_ops.drop_constraint('media_ops.rejected_rows', 'rejected_rows_reason_check');
comment on table media_ops.rejected_rows is
'The rows that could not be staged, with line and reason; of a run that failed because of them, the first 10,000.';
comment on column media_ops.rejected_rows.run_id is 'The run that rejected it.';
comment on column media_ops.rejected_rows.line_number is 'The line of the file on which it starts, counted from 1.';
comment on column media_ops.rejected_rows.raw_line is 'Its text, cut off if very long.';
comment on column media_ops.rejected_rows.reason is 'The first rule that it breaks.';
comment on column media_ops.rejected_rows.sentence is 'What is wrong with it, in a sentence.';
comment on column media_ops.rejected_rows.client_name is 'The unknown client, if the reason is client.';
grant select, insert on media_ops.rejected_rows to media_loader;
