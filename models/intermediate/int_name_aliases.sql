-- The one name that each spelling stands under, for each client: its own alias before one for all clients.
with seed as (
    select * from {{ ref('name_aliases') }}
),

clients as (
    select * from {{ ref('stg_clients') }}
),

-- People edit the seed by hand; what it says is compared with names as the loader stages them.
aliases as (
    select
        lower(coalesce({{ normal_name('seed.client') }}, '')) as client,
        {{ normal_name('seed.level') }} as level,
        {{ normal_name('seed.name') }} as name,
        {{ normal_name('seed.stands_for') }} as stands_for
    from seed
),

chosen as (
    select distinct on (clients.client_id, aliases.level, aliases.name)
        clients.client_id,
        aliases.level,
        aliases.name,
        aliases.stands_for
    from aliases
    inner join clients
        on aliases.client in ('', lower({{ normal_name('clients.client_name') }}), clients.client_id::text)
    order by clients.client_id, aliases.level, aliases.name, aliases.client = '', aliases.stands_for
)

select * from chosen
