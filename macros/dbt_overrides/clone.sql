{#- Refuses `dbt clone`. PostgreSQL cannot clone a table, so dbt would replace each mart by a view, and in the one schema
    that this project builds in, that view would select from itself. -#}
{% materialization clone, default %}
    {{ exceptions.raise_compiler_error(
        'dbt clone is not supported: to develop, use a database of your own, which `media db copy NAME` creates'
    ) }}
{% endmaterialization %}
