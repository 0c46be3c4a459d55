{#- A table or view that the builds keep for themselves, by its name. Not by ref() or source(): a hook of every mart reads it, and not
    every mart depends on it by itself. -#}
{% macro build_table(name) -%}
    {{ return(api.Relation.create(
        database=target.database, schema='media_ops' if name in ('days_built', 'id_secret') else 'media_models', identifier=name
    )) }}
{%- endmacro %}
