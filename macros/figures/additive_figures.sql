{#- The figures of staging_media_raw, and the kind of each: count (bigint) or amount (numeric(12,2)). Macros and tests
    derive their lists of figures from this list. stg_media_rows and the contracts name the columns themselves. -#}
{% macro additive_figures() -%}
    {{ return({
        'impressions': 'count',
        'clicks': 'count',
        'conversions': 'count',
        'conversion_revenue': 'amount',
    }) }}
{%- endmacro %}
