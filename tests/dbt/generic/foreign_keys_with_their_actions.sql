{#- Each of these columns has a validated foreign key with on update cascade and on delete restrict. This asks the
    catalogue, so no rows are read. -#}
{% test foreign_keys_with_their_actions(model, columns) %}
select wanted.column_name
from unnest(array{{ columns }}) as wanted (column_name)
where not exists (
    select 1
    from pg_constraint
    inner join pg_attribute
        on pg_constraint.conrelid = pg_attribute.attrelid and pg_attribute.attnum = pg_constraint.conkey[1]
    where
        pg_constraint.conrelid = '{{ model }}'::regclass
        and pg_constraint.contype = 'f'
        and pg_constraint.convalidated
        and pg_constraint.confupdtype = 'c'
        and pg_constraint.confdeltype = 'r'
        and pg_attribute.attname = wanted.column_name
)
{% endtest %}
