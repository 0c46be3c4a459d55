{#- A new mart has no day yet, whatever was built before: every day is to be built again, and no build that is under way
    may record its own as built. (A build that froze its list while the mart was missing has forgotten them all already,
    and this changes nothing.) -#}
{% macro forget_all_days() -%}
    update {{ build_table('days_built') }} set fingerprint = null where fingerprint is not null
    {%- if not freezes_the_list() and load_relation(build_table('int_days_to_rebuild')) %};
    update {{ build_table('int_days_to_rebuild') }} set build_id = null
    {%- endif -%}
{%- endmacro %}
