{#- For the work lists: what stood in the table gives way to tonight's rows. -#}
{% macro get_incremental_replace_sql(arg_dict) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- if flags.EMPTY -%}
        select 1
    {%- else -%}
        delete from {{ arg_dict['target_relation'] }};
        insert into {{ arg_dict['target_relation'] }} ({{ columns }})
        select {{ columns }} from {{ arg_dict['temp_relation'] }}
    {%- endif -%}
{%- endmacro %}
