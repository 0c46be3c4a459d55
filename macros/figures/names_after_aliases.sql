{#- Adds to staged names (client_id and staged_names()) the name after aliases and the id of every level. The aliases of a
    client are looked up in one jsonb object per level: the planner cannot estimate how many names there are, and a join
    could read all aliases again for each of them. -#}
{% macro names_after_aliases(staged, aliases) -%}
    {%- set path = ['(select id_secret.secret from media_ops.id_secret)', 'resolved.client_id'] -%}
    select
        resolved.*,
        {%- for level in levels() %}
        {%- do path.append('resolved.' ~ level ~ '_name') %}
        {{ natural_key_id(level, path) }} as {{ level }}_id{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            staged.*,
            {%- for level in levels() %}
            coalesce(aliases.{{ level }} ->> staged.staged_{{ level }}, staged.staged_{{ level }})::varchar(255)
                as {{ level }}_name{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ staged }} as staged
        left join (
            select
                name_aliases.client_id,
                {%- for level in levels() %}
                jsonb_object_agg(name_aliases.name, name_aliases.stands_for)
                    filter (where name_aliases.level = '{{ level }}') as {{ level }}{{ ',' if not loop.last }}
                {%- endfor %}
            from {{ aliases }} as name_aliases
            group by name_aliases.client_id
        ) as aliases on staged.client_id = aliases.client_id
    ) as resolved
{%- endmacro %}
