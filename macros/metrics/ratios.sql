{#- CTR, CPC, CPA and ROAS, each from the figures of its own row, in two steps: exact, and then fitted to their columns. -#}
{% macro exact_ratios(revenue='revenue') -%}
    {{ ratio('clicks', 'impressions') }} as exact_ctr,
    {{ ratio('spend', 'clicks') }} as exact_cpc,
    {{ ratio('spend', 'conversions') }} as exact_cpa,
    {{ ratio(revenue, 'spend') }} as exact_roas
{%- endmacro %}

{% macro fitted_ratios() -%}
    {{ fitted('exact_ctr', 12, 6) }} as ctr,
    {{ fitted('exact_cpc', 12, 4) }} as cpc,
    {{ fitted('exact_cpa', 12, 4) }} as cpa,
    {{ fitted('exact_roas', 12, 4) }} as roas
{%- endmacro %}
