{#- See days_to_rebuild, which is for models. A hook or a strategy passes the list itself (build_table). -#}
{% macro own_days_in(list) -%}
    (
        select * from {{ list }}
        {%- if freezes_the_list() %} where build_id = '{{ invocation_id }}'{% endif %}
    )
{%- endmacro %}
