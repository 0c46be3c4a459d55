{#- Makes the mart equal to the model within tonight's scope and touches no row that is equal already.
    A command that did not freeze the list may make the mart something else than what is remembered (other aliases,
    another top_n): what it writes is forgotten first, so that the next build does it again.
    meta.scope    a query: the keys of what is rebuilt. Rows of the mart inside it that the model did not return
                  have vanished. Without a scope nothing vanishes.
    unique_key    what a row is matched by, beside its client: its natural key. Its id is made of that and of the client's
                  id; should someone change the latter, the foreign keys carry the new ids down. -#}
{% macro get_incremental_sync_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set unique_key = ['client_id'] + arg_dict['unique_key'] | reject('equalto', 'client_id') | list -%}
    {%- set scope = config.get('meta', {}).get('scope') -%}
    {%- set names = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    {%- set figures = names | reject('in', unique_key + ['created_at', 'updated_at', 'preview_url']) | list -%}
    {%- set list = api.Relation.create(database=target.database, schema='media_models', identifier='int_days_to_rebuild') -%}
    {%- if flags.EMPTY -%}
        select 1
    {%- else -%}
        {%- if not freezes_the_list() %}
    {{ forget_days_built() }};
    update {{ list }} set build_id = null; -- nor may the build that froze it remember it
        {%- endif %}
    analyze {{ fresh }};
    {%- if scope %}
    delete from {{ target }} as mart
    using (select {{ scope | join(', ') }} from {{ days_to_rebuild() }} as days group by {{ scope | join(', ') }}) as scope
    where {% for column in scope %}mart.{{ column }} = scope.{{ column }} and {% endfor -%}
        not exists (
            select from {{ fresh }} as fresh
            where {% for column in unique_key %}fresh.{{ column }} = mart.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
        );
    {%- endif %}
    merge into {{ target }} as mart
    using {{ fresh }} as fresh
    on {% for column in unique_key %}mart.{{ column }} = fresh.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
    {%- if figures %}
    when matched and (
        {% for column in figures %}mart.{{ column }} is distinct from fresh.{{ column }}{{ ' or ' if not loop.last }}{% endfor %}
    ) then update set {% for column in figures %}{{ column }} = fresh.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    {%- endif %}
    when not matched then insert ({{ names | join(', ') }})
        values ({% for name in names %}fresh.{{ name }}{{ ', ' if not loop.last }}{% endfor %})
    {%- endif -%}
{%- endmacro %}
