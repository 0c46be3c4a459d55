{#- Which figures of a row are null although what they are made of is there: they do not fit their columns. `priced`
    says whether a spend is to be expected. -#}
{% macro figures_missing(row, revenue, priced) -%}
    concat_ws(
        ', ',
        case when {{ row }}.impressions is null then 'impressions' end,
        case when {{ row }}.clicks is null then 'clicks' end,
        case when {{ row }}.conversions is null then 'conversions' end,
        case when {{ row }}.{{ revenue }} is null then '{{ revenue }}' end,
        case when {{ row }}.spend is null and {{ priced }} then 'spend' end,
        case when {{ row }}.ctr is null and {{ row }}.clicks is not null and {{ row }}.impressions <> 0 then 'ctr' end,
        case when {{ row }}.cpc is null and {{ row }}.spend is not null and {{ row }}.clicks <> 0 then 'cpc' end,
        case when {{ row }}.cpa is null and {{ row }}.spend is not null and {{ row }}.conversions <> 0 then 'cpa' end,
        case when {{ row }}.roas is null and {{ row }}.{{ revenue }} is not null and {{ row }}.spend <> 0 then 'roas' end
    )
{%- endmacro %}
