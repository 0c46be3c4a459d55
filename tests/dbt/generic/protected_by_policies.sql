{#- Row-level security is on and its three policies stand: a client's people, the portal, the agency. -#}
{% test protected_by_policies(model) %}
select '{{ model }} is not protected' as what_is_wrong
where
    not (select relrowsecurity from pg_class where oid = '{{ model }}'::regclass)
    or (select count(*) from pg_policy where polrelid = '{{ model }}'::regclass) <> 3
{% endtest %}
