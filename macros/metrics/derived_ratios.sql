{#- CTR, CPC, CPA and ROAS, each from the figures of its own row. -#}
{% macro derived_ratios(revenue='revenue') -%}
    {{ ratio('clicks', 'impressions', 12, 6) }} as ctr,
    {{ ratio('spend', 'clicks', 12, 4) }} as cpc,
    {{ ratio('spend', 'conversions', 12, 4) }} as cpa,
    {{ ratio(revenue, 'spend', 12, 4) }} as roas
{%- endmacro %}
