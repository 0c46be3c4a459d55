{#- See days_to_rebuild, which is for models: a hook or a strategy names the list itself (bookkeeping). -#}
{% macro days_of_the_list(list) -%}
    (
        select * from {{ list }}
        {%- if freezes_the_list() %} where build_id = '{{ invocation_id }}'{% endif %}
    )
{%- endmacro %}
