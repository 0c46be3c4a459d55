{#- A figure rounded half away from zero to its column's scale; null if the column cannot hold it, so that one absurd
    file does not fail the build (the test figures_fit_their_columns warns and names it). The limit is half a unit of
    the last digit above the column's greatest value: from there on, rounding gives a value that does not fit. -#}
{% macro fitted(expression, precision, scale) -%}
    case
        when abs({{ expression }}) < {{ '9' * (precision - scale) }}.{{ '9' * scale }}5
            then round({{ expression }}, {{ scale }})::numeric({{ precision }}, {{ scale }})
    end
{%- endmacro %}
