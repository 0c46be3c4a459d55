{#- Row-level security is on and both policies stand. -#}
{% test protected_by_policies(model) %}
select '{{ model.incorporate(limit=none) }} is not protected' as what_is_wrong
where
    not (select relrowsecurity from pg_class where oid = '{{ model.incorporate(limit=none) }}'::regclass)
    or (select count(*) from pg_policy where polrelid = '{{ model.incorporate(limit=none) }}'::regclass) <> 2
{% endtest %}
