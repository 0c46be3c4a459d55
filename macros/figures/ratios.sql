{#- The ratios of a row. Each is computed from figures of the same row, here with their names in daily_metrics: {name:
    [numerator, denominator, scale of the column]}. CTR is a fraction. -#}
{% macro ratios() -%}
    {{ return({
        'ctr': ['clicks', 'impressions', 6],
        'cpc': ['spend', 'clicks', 4],
        'cpa': ['spend', 'conversions', 4],
        'roas': ['conversion_revenue', 'spend', 4],
    }) }}
{%- endmacro %}
