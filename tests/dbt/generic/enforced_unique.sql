{#- The database enforces that these columns are unique. This asks the catalogue, so no rows are read. -#}
{% test enforced_unique(model, columns) %}
select '{{ model }} has no valid unique index on {{ columns | join(", ") }}' as problem
where not exists (
    select 1
    from pg_index
    where
        pg_index.indrelid = '{{ model }}'::regclass
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
