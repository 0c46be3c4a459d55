{#- The first top_n of `items` (columns client_id, period_start, rank, the id, the figures) as one JSON array for each
    client and period. Only these are joined to `dimension`, for their names. -#}
{% macro top_items(items, dimension, id, period) -%}
    select
        best.client_id,
        best.period_start,
        jsonb_agg(
            jsonb_build_object(
                'rank', best.rank, 'id', best.{{ id }}, 'name', {{ dimension }}.name
                {%- for name in mart_figures(period) | list + ratios() | list %}, '{{ name }}', best.{{ name }}{% endfor %}
            )
            order by best.rank
        ) as items
    from (
        select
            divided.*,
            {{ fitted_ratios() }}
        from (
            select
                items.*,
                {{ exact_ratios(period) }}
            from {{ items }} as items
            where items.rank <= {{ var('top_n') }}
        ) as divided
    ) as best
    inner join {{ dimension }} on best.client_id = {{ dimension }}.client_id and best.{{ id }} = {{ dimension }}.id
    group by best.client_id, best.period_start
{%- endmacro %}
