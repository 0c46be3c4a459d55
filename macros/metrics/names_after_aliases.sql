{#- Staged name paths (client_id, staged_campaign … staged_creative) with the names they stand under and the ids of
    those: every id is made of the whole path above it. -#}
{% macro names_after_aliases(staged, aliases) -%}
    select
        resolved.*,
        {{ natural_key_id('campaign', ['resolved.client_id', 'resolved.campaign_name']) }} as campaign_id,
        {{ natural_key_id('strategy', [
            'resolved.client_id', 'resolved.campaign_name', 'resolved.strategy_name'
        ]) }} as strategy_id,
        {{ natural_key_id('placement', [
            'resolved.client_id', 'resolved.campaign_name', 'resolved.strategy_name', 'resolved.placement_name'
        ]) }} as placement_id,
        {{ natural_key_id('creative', [
            'resolved.client_id', 'resolved.campaign_name', 'resolved.strategy_name', 'resolved.placement_name',
            'resolved.creative_name'
        ]) }} as creative_id
    from (
        select
            staged.*,
            coalesce(campaign_alias.stands_for, staged.staged_campaign)::varchar(255) as campaign_name,
            coalesce(strategy_alias.stands_for, staged.staged_strategy)::varchar(255) as strategy_name,
            coalesce(placement_alias.stands_for, staged.staged_placement)::varchar(255) as placement_name,
            coalesce(creative_alias.stands_for, staged.staged_creative)::varchar(255) as creative_name
        from {{ staged }} as staged
        left join {{ aliases }} as campaign_alias
            on
                staged.client_id = campaign_alias.client_id
                and campaign_alias.level = 'campaign'
                and staged.staged_campaign = campaign_alias.name
        left join {{ aliases }} as strategy_alias
            on
                staged.client_id = strategy_alias.client_id
                and strategy_alias.level = 'strategy'
                and staged.staged_strategy = strategy_alias.name
        left join {{ aliases }} as placement_alias
            on
                staged.client_id = placement_alias.client_id
                and placement_alias.level = 'placement'
                and staged.staged_placement = placement_alias.name
        left join {{ aliases }} as creative_alias
            on
                staged.client_id = creative_alias.client_id
                and creative_alias.level = 'creative'
                and staged.staged_creative = creative_alias.name
    ) as resolved
{%- endmacro %}
