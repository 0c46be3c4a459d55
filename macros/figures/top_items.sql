{#- The first top_n of `items` (columns client_id, period_start, rank, id, name, the figures) as one JSON array for
    each client and period. -#}
{% macro top_items(items, period) -%}
    select
        client_id,
        period_start,
        jsonb_agg(
            jsonb_build_object(
                'rank', rank, 'id', id, 'name', name
                {%- for name in mart_figures(period) | list + ratios() | list %}, '{{ name }}', {{ name }}{% endfor %}
            )
            order by rank
        ) as items
    from (
        select
            *,
            {{ fitted_ratios() }}
        from (
            select
                *,
                {{ exact_ratios(period) }}
            from {{ items }}
            where rank <= {{ var('top_n') }}
        ) as divided
    ) as best
    group by client_id, period_start
{%- endmacro %}
