-- What an earlier release had and this one has not.

-- 0.1.0: dbt makes its marts itself, and the list of them is dbt's.
drop function if exists media_ops.hand_over_mart(text);
drop function if exists media_ops.begin_mart(text, json);
drop function if exists media_ops.marts();
drop index if exists media.clients_name_any_case;
