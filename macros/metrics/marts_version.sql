{#- The version of the marts' logic, part of every day's fingerprint. Raise it with a change that changes figures:
    the next build then recomputes all days. -#}
{% macro marts_version() -%}
    json_build_array(1, {{ var('top_n') }})
{%- endmacro %}
