{#- A table whose rows are replaced by what the query returns now. If the query has other columns than the table, the
    table is created again, because the next build needs nothing from a work list. Under --empty it stays as it is. -#}
{% materialization work_list, adapter='postgres' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set fresh = make_temp_relation(target_relation) -%}
    {%- set leave_alone = flags.EMPTY and load_cached_relation(this) is not none -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') -%}
        {%- if leave_alone -%}
        select 1
        {%- else -%}
        create temporary table {{ fresh }} on commit drop as ({{ sql }});
        do $replace$
        begin
            if (
                select jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod)) order by attnum)
                from pg_attribute where attrelid = to_regclass('{{ target_relation }}') and attnum > 0 and not attisdropped
            ) is distinct from (
                select jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod)) order by attnum)
                from pg_attribute where attrelid = '{{ fresh }}'::regclass and attnum > 0
            ) then
                drop table if exists {{ target_relation }} cascade;
                create table {{ target_relation }} (like {{ fresh }});
            end if;
        end
        $replace$;
        delete from {{ target_relation }};
        insert into {{ target_relation }} select * from {{ fresh }}
        {%- endif -%}
    {%- endcall %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
