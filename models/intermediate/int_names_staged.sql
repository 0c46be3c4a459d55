-- The distinct names on the days of this build: as staged, after aliases, and their ids.
-- The planner cannot estimate how many rows a build reads, and expects one. Without the index, daily_metrics would then
-- read all of these names again for each row.
{{ config(
    materialized='work_list', pre_hook=lock_marts(), post_hook=[
        "create index if not exists idx_names_staged_hash on {{ this }} (client_id, ({{ names_hash('staged_{}') }}))",
        "analyze {{ this }}"
    ]
) }}

with days_to_rebuild as (
    select * from {{ ref('int_days_to_rebuild') }}
),

media_rows as (
    select * from {{ ref('stg_media_rows') }}
),

name_aliases as (
    select * from {{ ref('int_name_aliases') }}
),

runs_to_read as (
    select
        days_to_rebuild.client_id,
        days_to_rebuild.date,
        unnest(days_to_rebuild.staged_run_ids) as run_id
    from days_to_rebuild
),

staged as (
    select distinct
        media_rows.client_id,
        {{ staged_names('media_rows') }}
    from runs_to_read
    inner join media_rows
        on
            runs_to_read.run_id = media_rows.run_id
            and runs_to_read.client_id = media_rows.client_id
            and runs_to_read.date = media_rows.date
),

named as (
    {{ names_after_aliases('staged', 'name_aliases') }}
)

select * from named
