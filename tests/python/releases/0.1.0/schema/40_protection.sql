-- clients, users, and the marts that dbt has built already: a policy text that changed holds from this migration on.
-- (dbt does the same for a mart in the transaction that makes it.)
select
    media_ops.protect_by_client('media.clients', 'id'),
    -- The portal shows a client's person themselves, an admin everyone. Nobody else is granted users but the agency.
    media_ops.protect('media.users', jsonb_build_object(
        'media_portal', 'id between (select media_ops.first_visible_user()) and (select media_ops.last_visible_user())',
        'media_reader', 'true'
    ));

do $$
declare
    mart text;
begin
    foreach mart in array media_ops.marts() loop
        if to_regclass('media.' || mart) is not null then
            perform media_ops.protect_by_client(to_regclass('media.' || mart), 'client_id');
        end if;
    end loop;
end
$$;
