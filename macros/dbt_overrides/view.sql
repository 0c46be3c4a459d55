{#- Replaces a view in place if its query has changed, one build at a time. dbt's own materialization swaps the view for a
    new one and drops the old one with everything that reads it, and a second build at the same time would fail. A view is
    dropped first only if `create or replace` fails, because that statement cannot remove or change columns. -#}
{% materialization view, adapter='postgres' %}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if existing_relation is not none and not existing_relation.is_view -%}
        {%- do adapter.drop_relation(existing_relation) -%}
    {%- endif -%}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    {% call statement('main') -%}
        {{ config.get('sql_header') or '' }}
        select media_ops.run_when_free('media_ops.views_lock', 'lock table media_ops.views_lock in exclusive mode');
        do $create_view$
        declare
            search_path constant text := current_setting('search_path');
            query text;
            found text;
        begin
            create temporary view wanted_view as (
            {{ sql }}
            );
            perform set_config('search_path', 'pg_catalog', true); -- so that the queries name every schema
            query := pg_get_viewdef('pg_temp.wanted_view'::regclass);
            found := pg_get_viewdef(to_regclass('{{ target_relation }}'));
            perform set_config('search_path', search_path, true);
            drop view pg_temp.wanted_view;
            if to_regclass('{{ target_relation }}') is null then
                execute 'create view {{ target_relation }} as ' || query;
            elsif query is distinct from found then
                perform media_ops.run_when_free(
                    '{{ target_relation }}', 'create or replace view {{ target_relation }} as ' || query, '1 minute', '1 second'
                );
            end if;
        exception when invalid_table_definition then
            perform media_ops.run_when_free(
                '{{ target_relation }}', 'drop view {{ target_relation }} cascade', '1 minute', '1 second'
            );
            execute 'create view {{ target_relation }} as ' || query;
        end
        $create_view$
    {%- endcall %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
