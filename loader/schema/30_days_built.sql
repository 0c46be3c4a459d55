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
grant select, insert, update, delete on media_ops.days_built to media_transformer;
-- How many days wait: media status.
grant select on media_ops.days_built to media_loader;
