{#- The ratios of a row, each from figures of the same row: {name: [numerator, denominator, scale of the column]}.
    CTR is a fraction. Code names the revenue as the summaries do. -#}
{% macro ratios() -%}
    {{ return({
        'ctr': ['clicks', 'impressions', 6],
        'cpc': ['spend', 'clicks', 4],
        'cpa': ['spend', 'conversions', 4],
        'roas': ['revenue', 'spend', 4],
    }) }}
{%- endmacro %}
