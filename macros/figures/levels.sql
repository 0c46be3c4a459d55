{#- The levels of names, from the top down, and the mart of each. A level's id is made of the whole path above it. -#}
{% macro levels() -%}
    {{ return({
        'campaign': 'campaigns',
        'strategy': 'strategies',
        'placement': 'placements',
        'creative': 'creatives',
    }) }}
{%- endmacro %}
