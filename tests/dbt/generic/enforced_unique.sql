{#- The database enforces that these columns are unique: asked of the catalogue, so that nothing is scanned. -#}
{% test enforced_unique(model, columns) %}
select '{{ model.incorporate(limit=none) }} has no valid unique index on {{ columns | join(", ") }}' as what_is_wrong
where not exists (
    select
    from pg_index
    where
        pg_index.indrelid = '{{ model.incorporate(limit=none) }}'::regclass
        and pg_index.indisunique
        and pg_index.indisvalid
        and pg_index.indpred is null
        and array(
            select pg_attribute.attname::text
            from pg_attribute
            where pg_attribute.attrelid = pg_index.indrelid and pg_attribute.attnum = any(pg_index.indkey)
            order by pg_attribute.attname
        ) = array{{ columns | sort }}
)
{% endtest %}
