-- The ids of names are hashes of the names and of this secret. Without it, anyone could compute the id of a name and
-- ask the planner whether another client has it.
create table if not exists media_ops.id_secret (
    is_the_only_row boolean primary key default true check (is_the_only_row),
    secret uuid not null default gen_random_uuid()
);
comment on table media_ops.id_secret is
'A secret that is part of the ids of all names. Never change it: every id would change.';
comment on column media_ops.id_secret.is_the_only_row is 'True.';
comment on column media_ops.id_secret.secret is 'The secret.';
insert into media_ops.id_secret default values on conflict do nothing;
grant select on media_ops.id_secret to media_transformer;
