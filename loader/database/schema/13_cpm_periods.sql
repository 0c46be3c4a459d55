-- The CPM in force: from its first date up to, not including, the client's next one. The only definition of it.
create view media_ops.wanted as
select
    settings.client_id,
    settings.cpm,
    settings.first_date,
    lead(settings.first_date, 1, 'infinity'::date) over (
        partition by settings.client_id order by settings.first_date
    ) as next_date
from (
    select
        client_settings.client_id,
        client_settings.cpm,
        coalesce(client_settings.effective_date, '-infinity'::date) as first_date
    from media.client_settings
) as settings;
select media_ops.set_view('media_ops.cpm_periods');
comment on view media_ops.cpm_periods is 'Which CPM of a client is in force when.';
comment on column media_ops.cpm_periods.client_id is 'The client.';
comment on column media_ops.cpm_periods.cpm is 'The price of a thousand impressions.';
comment on column media_ops.cpm_periods.first_date is
'The first day on which it is in force; -infinity: from the beginning.';
comment on column media_ops.cpm_periods.next_date is
'The day after the last day on which it is in force; infinity: there is no later CPM.';
grant select on media_ops.cpm_periods to media_loader, media_transformer;
