{#- Marks every day as not built, because a new mart has no days yet. A build in progress must not record its days as
    built either. (A build that froze its list while the mart was missing has already marked every day, so this changes
    nothing.) -#}
{% macro forget_all_days() -%}
    update {{ build_table('days_built') }} set fingerprint = null where fingerprint is not null
    {%- if not freezes_the_list() and load_relation(build_table('int_days_to_rebuild')) %};
    update {{ build_table('int_days_to_rebuild') }} set build_id = null
    {%- endif -%}
{%- endmacro %}
