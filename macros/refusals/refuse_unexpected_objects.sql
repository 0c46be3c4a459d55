{#- Refuses to build if the build could run another login's code with more rights than that login has: see
    loader/database/schema/45_unexpected_objects.sql. A view can also have been replaced by one of the same name, so as
    long as there is such a login, a command reads no view that it does not create itself. -#}
{% macro refuse_unexpected_objects() -%}
    {%- set rights = run_query('select media_ops.can_do_more_than_build(), media_ops.others_can_build()').rows[0] if execute -%}
    {%- if rights and rights[0] -%}
        {%- set relations = {} -%}
        {%- for node in graph.nodes.values() if node.resource_type in ('model', 'seed', 'snapshot') -%}
            {%- set kind = 'view' if node.config.materialized == 'view' else 'table' -%}
            {%- do relations.update({node.schema ~ '.' ~ node.alias: kind}) -%}
        {%- endfor -%}
        {%- set query = 'select * from media_ops.unexpected_objects($relations$' ~ tojson(relations) ~ '$relations$)' -%}
        {#- A view that no model created is read by none. It is refused only while someone else may have planted it. #}
        {%- for object in run_query(query).columns[0].values() if rights[1] or not object.startswith('the view ') or ' in place ' in object -%}
            {{ exceptions.raise_compiler_error(
                target.user ~ ' may do more than media_transformer, and ' ~ object ~ ' was created neither by this project nor '
                ~ 'by a model: it would run with your rights. Drop it, or build with a login that has media_transformer only'
            ) }}
        {%- endfor -%}
        {%- for view in views_read_as_they_are(graph, selected_resources) if rights[1] -%}
            {{ exceptions.raise_compiler_error(
                target.user ~ ' may do more than media_transformer, and this command reads the view ' ~ view ~ ' without '
                ~ 'creating it: another login may have replaced it. Run `dbt build`, or use a login that has media_transformer only'
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
