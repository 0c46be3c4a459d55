{#- Row-level security is on with three policies: for media_client, for media_portal, for the other roles. -#}
{% test protected_by_policies(model) %}
select '{{ model }} is not protected' as problem
where
    not (select relrowsecurity from pg_class where oid = '{{ model }}'::regclass)
    or (select count(*) from pg_policy where polrelid = '{{ model }}'::regclass) <> 3
{% endtest %}
