{#- The version of the rules that the figures follow. It is part of every day's fingerprint: if it changes, the next
    build recomputes every day. Raise `version` with a change that changes figures. The lists of figures, ratios and
    levels and the definition of periods are part of it automatically. -#}
{% macro marts_version() -%}
    {%- set version = 2 -%}
    {%- set rules = [additive_figures(), ratios(), levels()] -%}
    {%- for period in marts() | map(attribute='config.meta.period', default='day') | unique | sort -%}
        {%- do rules.append(period_start(period, 'day') ~ ' ' ~ period_end(period, 'start')) -%}
    {%- endfor -%}
    json_build_array({{ version }}, {{ var('top_n') }}, md5($rules${{ rules | string }}$rules$))
{%- endmacro %}
