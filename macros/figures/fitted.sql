{#- A figure rounded half away from zero to its column's scale; null if the column cannot hold it, so that one absurd
    file never fails the night (the test named figures_fit_their_columns says where). From half a unit above the
    column's greatest value on, a figure would be rounded to one that the column cannot hold. -#}
{% macro fitted(expression, precision, scale) -%}
    case
        when abs({{ expression }}) < {{ '9' * (precision - scale) }}.{{ '9' * scale }}5
            then round({{ expression }}, {{ scale }})::numeric({{ precision }}, {{ scale }})
    end
{%- endmacro %}
