{#- The levels, from the top down, and the mart of each. The id of a level is derived from the whole path above it. -#}
{% macro levels() -%}
    {{ return({
        'campaign': 'campaigns',
        'strategy': 'strategies',
        'placement': 'placements',
        'creative': 'creatives',
    }) }}
{%- endmacro %}
