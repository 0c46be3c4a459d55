{#- CTR, CPC, CPA and ROAS, each from the figures of its own row. -#}
{% macro derived_ratios() -%}
    {{ fitted(ratio('clicks', 'impressions'), 12, 6) }} as ctr,
    {{ fitted(ratio('spend', 'clicks'), 12, 4) }} as cpc,
    {{ fitted(ratio('spend', 'conversions'), 12, 4) }} as cpa,
    {{ fitted(ratio('revenue', 'spend'), 12, 4) }} as roas
{%- endmacro %}
