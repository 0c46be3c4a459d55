-- The floor of a CPM change: what someone would write by hand who knows the client, the days and the CPM, and that no
-- figure overflows. It gives the same rows and columns, and ranks items in the same order.
\set ON_ERROR_STOP on
begin;

update media.daily_metrics as metrics
set spend = spent.spend, cpc = round(spent.spend / nullif(clicks, 0), 4),
    cpa = round(spent.spend / nullif(conversions, 0), 4),
    roas = round(conversion_revenue / nullif(spent.spend, 0), 4)
from (
    select daily_metrics.id, round(daily_metrics.impressions * :cpm / 1000, 2) as spend
    from media.daily_metrics
    where
        daily_metrics.client_id = (select id from media.clients where name = :'client')
        and daily_metrics.date >= :'since'
) as spent
where metrics.id = spent.id;

\set summaries weekly_summaries
\set period week
\set period_start week_start
\ir reprice_summary.sql
\set summaries monthly_summaries
\set period month
\set period_start month_start
\ir reprice_summary.sql

commit;
