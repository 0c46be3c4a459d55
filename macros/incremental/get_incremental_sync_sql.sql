{#- Makes the mart equal to the model within tonight's work and touches no row that is equal already.
    meta.period   day, week, month …: rows of the mart in a period with a day to rebuild that the model did not return have
                  vanished. When every day is rebuilt, so has every row that the model did not return, whatever period
                  it is in: the rules may have changed. (Names vanish after daily_metrics: delete_vanished_names.)
    unique_key    what a row is matched by, beside its client: its natural key. Its id is made of that and of the client's
                  id; should someone change the latter, the foreign keys carry the new ids down.
    A command that did not freeze the list may make the mart something else than what is remembered (other aliases,
    another top_n): what it writes is forgotten first, so that the next build does it again. -#}
{% macro get_incremental_sync_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set names = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    {%- set client = ['client_id'] if 'client_id' in names else [] -%}
    {%- set given = arg_dict['unique_key'] or [] -%}
    {%- set unique_key = client + ([given] if given is string else given) | reject('equalto', 'client_id') | list -%}
    {%- if not unique_key -%}
        {{ exceptions.raise_compiler_error('give unique_key: the columns that a row of ' ~ target ~ ' is known by') }}
    {%- endif -%}
    {%- set period = config.get('meta', {}).get('period') -%}
    {%- set figures = names | reject('in', unique_key + ['created_at', 'updated_at', 'preview_url']) | list -%}
    {%- if flags.EMPTY -%}
        select 1
    {%- else -%}
        {%- if not freezes_the_list() %}
    {{ forget_days_built() }};
    update {{ build_table('int_days_to_rebuild') }} set build_id = null; -- nor may the build that froze it remember it
        {%- endif %}
    analyze {{ fresh }};
    {%- set returned -%}
        exists (
            select from {{ fresh }} as fresh
            where {% for column in unique_key %}fresh.{{ column }} = mart.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
        )
    {%- endset %}
    {%- if period %}
    delete from {{ target }} as mart
    using (
        select distinct {% if client %}days.client_id, {% endif %}{{ period_start(period, 'days.date') }} as period_start
        from {{ own_days_in(build_table('int_days_to_rebuild')) }} as days
    ) as scope
    where
        {% if client %}mart.client_id = scope.client_id and {% endif -%}
        mart.{{ period_column(period) }} = scope.period_start and not {{ returned }};
    {%- endif %}
    {%- if model.name not in levels().values() %}
    delete from {{ target }} as mart
    where (select bool_or(days.is_everything) from {{ own_days_in(build_table('int_days_to_rebuild')) }} as days) and not {{ returned }};
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
