-- The rows without names of a run that contain the impressions and clicks of its other rows together, or of its other
-- rows of the same client, date or both: of all of them, or of those with names. The clicks of a total can be blank. (A
-- single other row can be equal by chance, unless it is the only one.)
insert into media_ops.summary_rows (run_id, client_id, date, impressions)
with staged as (
    select client_id, date, impressions, clicks, {has_no_name} as has_no_name
    from media.staging_media_raw
    where ingestion_run_id = %(run)s
),

sums as (
    select
        client_id,
        date,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(impressions) filter (where not has_no_name) as impressions_with_names,
        sum(clicks) filter (where not has_no_name) as clicks_with_names,
        count(*) filter (where not has_no_name) as row_count,
        grouping(client_id, date) = 3 as is_of_the_file
    from staged
    group by grouping sets ((), (client_id), (date), (client_id, date))
)

select %(run)s, staged.client_id, staged.date, max(staged.impressions)
from staged
inner join sums
    on
        (
            (
                staged.impressions = sums.impressions_with_names
                and staged.clicks in (0, sums.clicks_with_names)
            )
            or (
                staged.impressions = sums.impressions - staged.impressions
                and staged.clicks in (0, sums.clicks - staged.clicks)
            )
        )
        and (sums.client_id is null or staged.client_id = sums.client_id)
        and (sums.date is null or staged.date = sums.date)
where
    staged.has_no_name and staged.impressions > 0
    and (sums.row_count > 1 or (sums.row_count = 1 and sums.is_of_the_file))
group by staged.client_id, staged.date
