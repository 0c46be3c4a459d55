-- What each day of each client was last built from. A null fingerprint: a build began and has not ended, so the
-- day is to be built again. Written by dbt alone: emptied when a work list is frozen, filled when it is done.
create table if not exists media_ops.days_built (
    client_id uuid not null references media.clients (id) on update cascade on delete restrict,
    date date not null,
    fingerprint text,
    staged_run_ids uuid[] not null,
    aliases_fingerprint text not null,
    built_at timestamp,
    primary key (client_id, date)
);
comment on table media_ops.days_built is
'What each day of each client was last built from; written by dbt alone.';
comment on column media_ops.days_built.client_id is 'The client.';
comment on column media_ops.days_built.date is 'The day.';
comment on column media_ops.days_built.fingerprint is
'That of int_days_fingerprinted when the day was built; null: a build began and has not ended.';
comment on column media_ops.days_built.staged_run_ids is 'The runs whose names the build read.';
comment on column media_ops.days_built.aliases_fingerprint is 'The aliases under which it put them.';
comment on column media_ops.days_built.built_at is 'When, UTC.';
grant select, insert, update, delete on media_ops.days_built to media_transformer;
