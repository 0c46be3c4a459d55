{#- The rank of an item within its client and period: by revenue, then spend, then id. -#}
{% macro best_first(figures, id) -%}
    row_number() over (
        partition by {{ figures }}.client_id, {{ figures }}.period_start
        order by {{ figures }}.revenue desc nulls last, {{ figures }}.spend desc nulls last, {{ figures }}.{{ id }} asc
    )
{%- endmacro %}
