{#- The ratios of a row, each from figures of the same row as daily_metrics names them: {name: [numerator, denominator, scale
    of the column]}. CTR is a fraction. -#}
{% macro ratios() -%}
    {{ return({
        'ctr': ['clicks', 'impressions', 6],
        'cpc': ['spend', 'clicks', 4],
        'cpa': ['spend', 'conversions', 4],
        'roas': ['conversion_revenue', 'spend', 4],
    }) }}
{%- endmacro %}
