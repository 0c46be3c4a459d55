-- The one name that each spelling stands under, for each client: its own alias before one for all clients.
with aliases as (
    select * from {{ ref('name_aliases') }}
),

clients as (
    select * from {{ ref('stg_clients') }}
),

chosen as (
    select distinct on (clients.client_id, aliases.level, aliases.name)
        clients.client_id,
        aliases.level,
        aliases.name,
        aliases.stands_for
    from aliases
    inner join clients
        on
            coalesce(btrim(aliases.client), '') = ''
            or lower(btrim(aliases.client)) in (lower(clients.client_name), clients.client_id::text)
    order by
        clients.client_id, aliases.level, aliases.name, coalesce(btrim(aliases.client), '') = '', aliases.stands_for
)

select * from chosen
