-- A name longer than its column would be cut without a word, and of two aliases for one name none is the right one.
with seed as (
    select * from {{ ref('name_aliases') }}
),

clients as (
    select * from {{ ref('stg_clients') }}
),

-- A client may be named by its name here and by its id there.
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
