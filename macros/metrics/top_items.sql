{#- The first top_n of `items` (columns client_id, period_start, rank, id, name, the figures) as one JSON array for
    each client and period. -#}
{% macro top_items(items) -%}
    select
        client_id,
        period_start,
        jsonb_agg(
            jsonb_build_object(
                'rank', rank, 'id', id, 'name', name, 'impressions', impressions, 'clicks', clicks,
                'conversions', conversions, 'revenue', revenue, 'spend', spend, 'ctr', ctr, 'cpc', cpc, 'cpa', cpa,
                'roas', roas
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
                {{ exact_ratios() }}
            from {{ items }}
            where rank <= {{ var('top_n') }}
        ) as divided
    ) as best
    group by client_id, period_start
{%- endmacro %}
