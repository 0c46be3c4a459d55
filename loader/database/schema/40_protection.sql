-- clients, users, and the tables that dbt has built in media already: a policy text that changed holds from this
-- migration on. (dbt does the same for a mart in the transaction that makes it.)
select
    media_ops.protect_by_client('media.clients', 'id'),
    -- The portal shows a client's person themselves, an admin everyone. Nobody else is granted users but the agency.
    media_ops.protect('media.users', jsonb_build_object(
        'media_portal',
        'id >= any (array[(select media_ops.first_visible_user())]) '
        'and id <= any (array[(select media_ops.last_visible_user())])',
        'media_reader', 'true'
    ));

select media_ops.protect_mart(pg_class.oid)
from pg_class
where
    pg_class.relnamespace = 'media'::regnamespace and pg_class.relkind in ('r', 'p')
    and pg_class.relowner = 'media_transformer'::regrole
order by pg_class.oid;
