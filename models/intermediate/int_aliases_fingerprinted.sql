-- One fingerprint of all the aliases of a client; clients without any have no row.
with name_aliases as (
    select * from {{ ref('int_name_aliases') }}
),

fingerprinted as (
    select
        name_aliases.client_id,
        md5(json_agg(
            json_build_array(name_aliases.level, name_aliases.name, name_aliases.stands_for)
            order by name_aliases.level, name_aliases.name
        )::text) as aliases_fingerprint
    from name_aliases
    group by name_aliases.client_id
)

select * from fingerprinted
