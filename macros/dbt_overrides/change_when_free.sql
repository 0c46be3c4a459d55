{#- A statement that changes a table or view while people read it. It waits for open readers for a minute at most, and
    lets new ones through meanwhile. -#}
{% macro change_when_free(relation, statement) -%}
    select media_ops.run_when_free(
        $relation${{ relation }}$relation$, $statement${{ statement }}$statement$, at_most => '1 minute', pause => '1 second'
    )
{%- endmacro %}
