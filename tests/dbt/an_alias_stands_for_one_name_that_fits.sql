-- Finds ambiguous aliases, and aliases for a name that is blank or too long for its column (it would be cut silently).
with seed as (
    select * from {{ ref('name_aliases') }}
),

clients as (
    select * from {{ ref('stg_clients') }}
),

-- The client is given by its name or its id, so two rows may mean the same client.
aliases as (
    select
        coalesce(clients.client_id::text, lower(seed.client), '') as client,
        {{ normal_name('seed.level') }} as level,
        {{ normal_name('seed.name') }} as name,
        {{ normal_name('seed.stands_for') }} as stands_for
    from seed
    left join clients
        on
            lower({{ normal_name('seed.client') }})
            in (lower({{ normal_name('clients.client_name') }}), clients.client_id::text)
),

wrong as (
    select
        aliases.client,
        aliases.level,
        aliases.name,
        min(aliases.stands_for) as stands_for
    from aliases
    group by aliases.client, aliases.level, aliases.name
    having
        count(distinct aliases.stands_for) > 1
        or max(length(aliases.stands_for)) > 255
        or min(aliases.stands_for) = ''
)

select * from wrong
