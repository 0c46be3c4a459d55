{#- The version of the marts' rules, part of every day's fingerprint: when it changes, the next build recomputes all days.
    Raise the number with a change of a model or macro that changes figures. The lists and definitions named here count
    by themselves. -#}
{% macro marts_version() -%}
    {%- set rules = [additive_figures(), ratios(), levels(), period_start('week', 'day'), period_start('month', 'day')] -%}
    json_build_array(1, {{ var('top_n') }}, md5($rules${{ rules | string }}$rules$))
{%- endmacro %}
