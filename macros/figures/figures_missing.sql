{#- Names the figures and ratios of a row that are null although their inputs are not, because they do not fit their
    columns. `priced`: a condition that is true if the row should have a spend. -#}
{% macro figures_missing(row, period, priced) -%}
    concat_ws(
        ', '
        {%- for name in mart_figures(period) %},
        case when {{ row }}.{{ name }} is null {%- if name == 'spend' %} and {{ priced }}{% endif %} then '{{ name }}' end
        {%- endfor %}
        {%- for name, (numerator, denominator, _) in ratios().items() %},
        case
            when
                {{ row }}.{{ name }} is null and {{ row }}.{{ figure_name(numerator, period) }} is not null
                and {{ row }}.{{ figure_name(denominator, period) }} <> 0
                then '{{ name }}'
        end
        {%- endfor %}
    )
{%- endmacro %}
