{#- Refuses to build if the build could run another login's code with more rights than that login has: see
    loader/database/schema/45_unexpected_objects.sql. A view can also have been replaced by one of the same name, so such
    a command reads no view that it does not create itself. Runs before everything else. -#}
{% macro refuse_unexpected_objects() -%}
    {%- if execute and run_query('select media_ops.could_run_anothers_code()').columns[0].values()[0] -%}
        {%- set relations = {} -%}
        {%- for node in graph.nodes.values() if node.resource_type in ('model', 'seed', 'snapshot') -%}
            {%- set kind = 'view' if node.config.materialized == 'view' else 'table' -%}
            {%- do relations.update({node.schema ~ '.' ~ node.alias: kind}) -%}
        {%- endfor -%}
        {%- set query = 'select * from media_ops.unexpected_objects($relations$' ~ tojson(relations) ~ '$relations$)' -%}
        {%- for object in run_query(query).columns[0].values() -%}
            {{ exceptions.raise_compiler_error(
                target.user ~ ' may do more than media_transformer, and ' ~ object ~ ' was created neither by this project nor '
                ~ 'by a model: it would run with your rights. Drop it, or build with a login that has media_transformer only'
            ) }}
        {%- endfor -%}
        {%- for view in views_read_as_they_are(graph, selected_resources) -%}
            {{ exceptions.raise_compiler_error(
                target.user ~ ' may do more than media_transformer, and this command reads the view ' ~ view ~ ' without '
                ~ 'creating it: another login may have replaced it. Run `dbt build`, or use a login that has media_transformer only'
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
