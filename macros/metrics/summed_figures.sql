{#- The five sums of daily_metrics that every summary starts from, each fitted to its column. -#}
{% macro summed_figures() -%}
    {{ fitted_count(sum_or_null('impressions')) }} as impressions,
    {{ fitted_count(sum_or_null('clicks')) }} as clicks,
    {{ fitted_count(sum_or_null('conversions')) }} as conversions,
    {{ fitted(sum_or_null('conversion_revenue'), 12, 2) }} as revenue,
    {{ fitted(sum_or_null('spend'), 12, 2) }} as spend
{%- endmacro %}
