{#- Refuses a target that would write production without being the production target. The models name the schemas media
    and media_models, and there is one record of what was built (media_ops.days_built) per database. So a second target
    in the same database would overwrite production, or record days as built that production does not have. Called when
    dbt parses the project, and as the on-run-start hook, which can also ask the database. -#}
{% macro refuse_other_targets() -%}
    {%- if target.schema != 'media' -%}
        {{ exceptions.raise_compiler_error(
            'target ' ~ target.name ~ ' has schema ' ~ target.schema ~ ', but this project builds only in schema media: to'
            ~ ' develop, use a database of your own, which `media db copy NAME` creates'
        ) }}
    {%- endif -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select current_user, concat_ws(' ', current_database(), extract(epoch from pg_postmaster_start_time()))"
        ).rows[0] -%}
        {#- target.role, too, because dbt loses the role of this connection when it clears its transaction #}
        {%- if 'media_transformer' not in (target.role, found[0]) -%}
            {{ exceptions.raise_compiler_error(
                'target ' ~ target.name ~ ' works as ' ~ (target.role or found[0]) ~ ', but the marts belong to media_transformer: add'
                ~ ' `role: media_transformer` to it in profiles.yml'
            ) }}
        {%- elif env_var('MEDIA_TRANSFORMS', found[1]) != found[1] -%}
            {{ exceptions.raise_compiler_error(
                'target ' ~ target.name ~ ' names the database ' ~ target.dbname ~ ' on ' ~ target.host ~ ', but `media`'
                ~ ' works on another one: let profiles.yml read the PG* variables, as profiles.example.yml does'
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
