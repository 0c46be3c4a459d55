{#- Refuses to build what dbt would build in the wrong place, or cannot replace. If a configuration moves a mart to another
    schema or name, its days would be recorded as built while the mart that people read stays as it is. After a restore,
    relations can belong to whoever restored them. Only selected nodes count. Models in other folders can be anywhere. -#}
{% macro refuse_moved_models() -%}
    {%- if execute -%}
        {%- set owners = {} -%}
        {%- for name, owner in run_query(
            "select relnamespace::regnamespace || '.' || relname, pg_get_userbyid(relowner) from pg_class
            where relnamespace::regnamespace::text in ('media', 'media_models') and relkind in ('r', 'p', 'v', 'm')"
        ).rows -%}
            {%- do owners.update({name: owner}) -%}
        {%- endfor -%}
        {%- set homes = {'staging': 'media_models', 'intermediate': 'media_models', 'marts': 'media'} -%}
        {%- do homes.update({'name_aliases': 'media_models'}) -%}
        {%- for node in graph.nodes.values() if node.unique_id in selected_resources and node.package_name == project_name
            and node.resource_type in ('model', 'seed', 'snapshot') -%}
            {%- set built = node.schema ~ '.' ~ node.alias -%}
            {%- set usual = homes[node.fqn[1]] ~ '.' ~ node.name if node.fqn[1] in homes else built -%}
            {%- if built != usual and (node.schema not in homes.values() or usual in owners) -%}
                {{ exceptions.raise_compiler_error(
                    node.name ~ ' would be built as ' ~ built ~ ' instead of ' ~ usual ~ ': remove its schema and alias from'
                    ~ ' its config; to develop, use a database of your own, which `media db copy NAME` creates'
                ) }}
            {%- elif owners.get(built, 'media_transformer') != 'media_transformer' -%}
                {{ exceptions.raise_compiler_error(
                    built ~ ' belongs to ' ~ owners[built] ~ ', but dbt can replace only what belongs to media_transformer:'
                    ~ ' after a restore, run `media migrate` as ' ~ owners[built] ~ '; otherwise `alter table ' ~ built
                    ~ ' owner to media_transformer`'
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
