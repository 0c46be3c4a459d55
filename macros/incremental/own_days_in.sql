{#- The days of a work list that this build froze; all days if this command froze none. For hooks and strategies, which
    pass the list itself (build_table). Models use days_to_rebuild. -#}
{% macro own_days_in(list) -%}
    (
        select * from {{ list }}
        {%- if freezes_the_list() %} where build_id = '{{ invocation_id }}'{% endif %}
    )
{%- endmacro %}
