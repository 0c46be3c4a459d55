{#- A table or view with the state of builds, by its name. It does not use ref() or source(), because hooks of every mart
    read these tables, and not every mart depends on them. -#}
{% macro build_table(name) -%}
    {{ return(api.Relation.create(
        database=target.database, schema='media_ops' if name == 'days_built' else 'media_models', identifier=name
    )) }}
{%- endmacro %}
