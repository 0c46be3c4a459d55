-- Removes what an earlier release had and this one does not have.

-- From 0.1.0. Now dbt creates its marts itself and keeps the list of them (macros/incremental/marts.sql).
drop function if exists media_ops.hand_over_mart(text);
drop function if exists media_ops.begin_mart(text, json);
drop function if exists media_ops.marts();
drop index if exists media.clients_name_any_case;

-- Loaders and builds no longer use advisory locks (15_locks.sql).
drop function if exists media_ops.object_lock(text, text);
drop function if exists media_ops.validate_client_key(regclass);

-- The loader no longer reads dbt's views, because whoever may build can replace them.
revoke all on schema media_models from media_loader;
