{#- A table of the builds' own bookkeeping by its name. Not by ref() or source(): a hook of every mart reads it, and not
    every mart depends on it by itself. -#}
{% macro bookkeeping(name) -%}
    {{ return(api.Relation.create(
        database=target.database, schema='media_ops' if name == 'days_built' else 'media_models', identifier=name
    )) }}
{%- endmacro %}
