-- A mart made anew is made by the clients' owner, filled by dbt, and handed over to dbt's role. In between it gets its
-- foreign key to clients, as the owner of both: PostgreSQL checks a new key by one join only for whoever is above the
-- row-level security of both tables, and row by row for everyone else. Checking runs what belongs to a table (indexes,
-- policies, casts of its types), so nobody but the owner may have had a hand in it by then.
create or replace function media_ops.marts() returns text[]
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select array[
        'campaigns', 'strategies', 'placements', 'creatives', 'daily_metrics', 'weekly_summaries', 'monthly_summaries'
    ]
$$;

-- Makes it, empty; `columns` has their types in their order, PostgreSQL's own ones: {"id": "uuid not null", …}.
create or replace function media_ops.begin_mart(mart text, columns json) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    unknown text;
begin
    select string_agg(format('%s %s', given.name, given.type), ', ') into unknown
    from json_each_text(columns) as given (name, type)
    where
        given.type !~ '^[a-z ]+(\(\d+(, ?\d+)?\))?( not null)?$'
        or not exists (
            select from pg_type
            where
                oid = to_regtype(regexp_replace(given.type, ' not null$', ''))
                and typnamespace = 'pg_catalog'::regnamespace
        );
    if unknown is not null or mart <> all (media_ops.marts()) then
        raise 'no mart can be made of % (%)', mart, unknown;
    end if;
    execute format('create table media.%I (%s)', mart, (
        select string_agg(format('%I %s', given.name, given.type), ', ' order by given.place)
        from json_each_text(columns) with ordinality as given (name, type, place)
    ));
    execute format('grant select, insert on media.%I to media_transformer', mart);
end
$$;

create or replace function media_ops.hand_over_mart(mart text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if mart <> all (media_ops.marts()) or not exists (
        select from pg_class where oid = to_regclass(format('media.%I', mart)) and relowner = current_user::regrole
    ) then
        raise '% is no mart that begin_mart made', mart;
    end if;
    execute format(
        'alter table media.%I add foreign key (client_id) references media.clients (id) '
        'on update cascade on delete restrict',
        mart
    );
    execute format('alter table media.%I owner to media_transformer', mart);
end
$$;
revoke all on function media_ops.marts(), media_ops.begin_mart(text, json), media_ops.hand_over_mart(text)
from public;
grant execute on function media_ops.begin_mart(text, json), media_ops.hand_over_mart(text) to media_transformer;
