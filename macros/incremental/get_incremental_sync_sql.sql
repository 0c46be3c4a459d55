{#- Makes a mart equal to its model for the days of this build, and leaves rows that are already equal untouched.
    unique_key          the natural key. Rows are matched by it, and by client_id if the mart has one. They are not
                        matched by id: an id is derived from the natural key and the client's id, and if someone
                        changes a client's id, the foreign keys pass on the new one.
    meta.period         day, week, month …: in a period that contains a day to rebuild, rows that the model did not
                        return are deleted. If every day is rebuilt, they are deleted in all periods, because the rules
                        may have changed. (Names are deleted after daily_metrics: see delete_vanished_names.)
    meta.set_elsewhere  columns that other programs fill: never overwritten.
    A command that does not freeze the list may use other aliases or another top_n than the recorded build. It first
    marks the days that it writes as not built, so that the next build recomputes them. -#}
{% macro get_incremental_sync_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set meta = config.get('meta', {}) -%}
    {%- set names = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    {%- set client = ['client_id'] if 'client_id' in names else [] -%}
    {%- set unique_key = client + natural_key() | reject('equalto', 'client_id') | list -%}
    {%- set kept = unique_key + ['created_at', 'updated_at'] + meta.get('set_elsewhere', []) -%}
    {%- if not unique_key -%}
        {{ exceptions.raise_compiler_error('set unique_key: the columns that identify a row of ' ~ target) }}
    {%- endif -%}
    {%- if flags.FULL_REFRESH and not freezes_the_list() -%}
        {%- do exceptions.warn(
            model.name ~ ' was not recomputed in full: --full-refresh needs int_days_to_rebuild, which chooses the days.'
            ~ ' Run `dbt build --full-refresh` without -s'
        ) -%}
    {%- endif -%}
    {%- set days = own_days_in(build_table('int_days_to_rebuild')) -%}
    {%- set matched, differs, updates, columns, inserted, indexed = [], [], [], [], [], [] -%}
    {%- for column in unique_key -%}
        {%- do matched.append('mart.' ~ adapter.quote(column) ~ ' = fresh.' ~ adapter.quote(column)) -%}
    {%- endfor -%}
    {%- for column in arg_dict['dest_columns'] if column.name in unique_key and column.dtype in ('uuid', 'date') -%}
        {%- do indexed.append(adapter.quote(column.name)) -%}
    {%- endfor -%}
    {%- for name in names -%}
        {%- set column = adapter.quote(name) -%}
        {%- do columns.append(column) -%}
        {%- do inserted.append('fresh.' ~ column) -%}
        {%- if name not in kept -%}
            {%- do differs.append('mart.' ~ column ~ ' is distinct from fresh.' ~ column) -%}
            {%- do updates.append(column ~ ' = fresh.' ~ column) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set not_returned -%}
        not exists (select 1 from {{ fresh }} as fresh where {{ matched | join(' and ') }})
    {%- endset -%}
    {%- if flags.EMPTY -%}
    select 1
    {%- else -%}
        {%- if not freezes_the_list() %}
    {{ forget_days_built() }};
    update {{ build_table('int_days_to_rebuild') }} set build_id = null; -- its build may not record it
        {%- endif %}
        {%- if meta.get('period') and indexed %}
    -- The planner may expect one row of the mart, and would then read all new rows again for each row that it finds.
    create index on {{ fresh }} ({{ indexed | join(', ') }});
        {%- endif %}
    analyze {{ fresh }};
        {%- if meta.get('period') %}
    delete from {{ target }} as mart
    using (
        select distinct {% if client %}days.client_id, {% endif %}{{ period_start(meta.period, 'days.date') }} as period_start
        from {{ days }} as days
    ) as scope
    where
        {% if client %}mart.client_id = scope.client_id and {% endif -%}
        mart.{{ period_column(meta.period) }} = scope.period_start and {{ not_returned }};
        {%- endif %}
        {%- if model.name not in levels().values() %}
    delete from {{ target }} as mart
    where (select bool_or(days.is_everything) from {{ days }} as days) and {{ not_returned }};
        {%- endif %}
    merge into {{ target }} as mart
    using {{ fresh }} as fresh on {{ matched | join(' and ') }}
        {%- if updates %}
    when matched and ({{ differs | join(' or ') }}) then update set {{ updates | join(', ') }}
        {%- endif %}
    when not matched then insert ({{ columns | join(', ') }}) values ({{ inserted | join(', ') }})
    {%- endif -%}
{%- endmacro %}
