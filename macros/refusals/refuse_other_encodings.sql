{#- Fails a dbt command whose connections do not use UTF-8: it would stop at the first name that the other encoding
    lacks. The loader sets PGCLIENTENCODING for dbt, and refuses databases with another encoding itself. -#}
{% macro refuse_other_encodings() -%}
    {%- if execute -%}
        {%- set found = run_query("select current_setting('server_encoding'), current_setting('client_encoding')").rows[0] -%}
        {%- if found[0] != 'UTF8' -%}
            {{ exceptions.raise_compiler_error(
                'the database ' ~ target.dbname ~ ' has the encoding ' ~ found[0]
                ~ ", which cannot hold every name: `media migrate` says how to create one with encoding 'UTF8'"
            ) }}
        {%- elif found[1] != 'UTF8' -%}
            {{ exceptions.raise_compiler_error(
                'dbt connects with the client encoding ' ~ found[1] ~ ', which cannot show every name:'
                ~ ' set PGCLIENTENCODING=UTF8, or run `media transform`'
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
