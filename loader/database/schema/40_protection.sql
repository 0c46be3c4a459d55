-- Gives clients, users and the tables that dbt has already built in media the current policies. (dbt does the same
-- for a new mart, in the transaction that creates it.)
select
    media_ops.protect_by_client('media.clients', 'id'),
    -- In the portal, a user of a client sees only themselves, and an admin sees everyone. Of the other roles, only
    -- media_reader may read users.
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
