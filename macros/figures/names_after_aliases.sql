{#- Adds to staged names (client_id and staged_names()) the name after aliases and the id of every level. -#}
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
            coalesce({{ level }}_alias.stands_for, staged.staged_{{ level }})::varchar(255) as {{ level }}_name
            {{- ',' if not loop.last }}
            {%- endfor %}
        from {{ staged }} as staged
        {%- for level in levels() %}
        left join {{ aliases }} as {{ level }}_alias
            on
                staged.client_id = {{ level }}_alias.client_id
                and {{ level }}_alias.level = '{{ level }}'
                and staged.staged_{{ level }} = {{ level }}_alias.name
        {%- endfor %}
    ) as resolved
{%- endmacro %}
