{#- Row-level security is on and both policies stand. -#}
{% test protected_by_policies(model) %}
select '{{ model }} is not protected' as what_is_wrong
where
    not (select relrowsecurity from pg_class where oid = '{{ model }}'::regclass)
    or (select count(*) from pg_policy where polrelid = '{{ model }}'::regclass) <> 2
{% endtest %}
