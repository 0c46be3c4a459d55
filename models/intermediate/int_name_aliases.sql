-- The name that each aliased spelling stands for, for each client. A client's own alias overrides one for all clients.
with seed as (
    select * from {{ ref('name_aliases') }}
),

clients as (
    select * from {{ ref('stg_clients') }}
),

-- The seed is edited by hand, so its names are normalized as the loader normalizes staged names.
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
