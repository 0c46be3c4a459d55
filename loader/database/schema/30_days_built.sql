-- What each day of each client was last built from. A null fingerprint means that a build of the day began and did not
-- finish, so the day is built again. Only dbt writes this table: it sets the fingerprints of a work list to null when
-- the list is frozen, and fills them in when the list is done.
create table if not exists media_ops.days_built (
    client_id uuid not null references media.clients (id) on update cascade on delete restrict,
    date date not null,
    fingerprint text,
    staged_run_ids uuid[] not null,
    aliases_fingerprint text not null,
    built_at timestamp,
    live_run_ids uuid[],
    cpm decimal(10, 4),
    primary key (client_id, date)
);
select media_ops.add_column('media_ops.days_built', 'live_run_ids', 'uuid[]');
select media_ops.add_column('media_ops.days_built', 'cpm', 'decimal(10, 4)');
comment on table media_ops.days_built is
'What each day of each client was last built from. Only dbt writes it.';
comment on column media_ops.days_built.client_id is 'The client.';
comment on column media_ops.days_built.date is 'The date.';
comment on column media_ops.days_built.fingerprint is
'The fingerprint of int_days_fingerprinted when the day was built; null: a build began and did not finish.';
comment on column media_ops.days_built.staged_run_ids is 'The runs whose names the build read.';
comment on column media_ops.days_built.live_run_ids is
'The runs whose rows the figures add up; null: built before release 0.2.0.';
comment on column media_ops.days_built.cpm is 'The CPM at which the day was priced; null: none was in force.';
comment on column media_ops.days_built.aliases_fingerprint is 'The fingerprint of the client''s aliases in that build.';
comment on column media_ops.days_built.built_at is 'When the day was built, UTC.';
grant select, insert, update, delete on media_ops.days_built to media_transformer;
grant select on media_ops.days_built to media_loader; -- media status counts the days that wait for a build
