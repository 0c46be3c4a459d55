{#- The figures of staging_media_raw that add up, and the kind of each: count (bigint) or money (numeric(12,2)). Every
    list of figures in models, tests and macros is derived from this one. -#}
{% macro additive_figures() -%}
    {{ return({
        'impressions': 'count',
        'clicks': 'count',
        'conversions': 'count',
        'conversion_revenue': 'money',
    }) }}
{%- endmacro %}
