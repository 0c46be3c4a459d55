{#- A figure rounded half away from zero to its column's scale; null if the column cannot hold it, so that one absurd
    file never fails the night (the test named figures_fit_their_columns says where). -#}
{% macro fitted(expression, precision, scale) -%}
    case
        when abs(round({{ expression }}, {{ scale }})) < 1e{{ precision - scale }}::numeric
            then round({{ expression }}, {{ scale }})::numeric({{ precision }}, {{ scale }})
    end
{%- endmacro %}
