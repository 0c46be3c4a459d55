-- A few rows in every table of this release.
insert into media.clients (id, name, status) values
('00000000-0000-0000-0000-00000000000a', 'Acme', 'active'),
('00000000-0000-0000-0000-00000000000b', 'Beta', 'disabled');

insert into media.users (id, email, password_hash, role, client_id, disabled_at, database_login) values
('00000000-0000-0000-0001-000000000001', 'ann@acme.example', '$argon2id$…', 'client',
    '00000000-0000-0000-0000-00000000000a', null, 'ann_bi'),
('00000000-0000-0000-0001-000000000002', 'root@agency.example', '$argon2id$…', 'admin', null, '2025-02-01', null);

insert into media.client_settings (client_id, cpm, effective_date) values
('00000000-0000-0000-0000-00000000000a', 2.5, null),
('00000000-0000-0000-0000-00000000000a', 3.25, '2025-01-02');

insert into media.ingestion_logs (
    id, run_date, status, message, records_loaded, records_failed, finished_at, file_name, feed, feed_location,
    bucket, object_key, object_uri, etag, last_modified, size_bytes, sha256, failure, same_content_as, retracted_at
) values
('00000000-0000-0000-0002-000000000001', '2025-01-02', 'success', '1 rows, 1 rejected', 1, 1, '2025-01-03',
    'ttd/1.csv', 'ttd', 's3://drops/ttd/', 'drops', 'ttd/1.csv', 's3://drops/ttd/1.csv', 'e1', '2025-01-03', 99,
    'abc', null, null, null),
('00000000-0000-0000-0002-000000000002', '2025-01-02', 'success', 'same content', 0, 0, '2025-01-04',
    'ttd/1.csv', 'ttd', 's3://drops/ttd/', 'drops', 'ttd/1.csv', 's3://drops/ttd/1.csv', 'e2', '2025-01-04', 99,
    'abc', null, '00000000-0000-0000-0002-000000000001', null),
('00000000-0000-0000-0002-000000000003', '2025-01-03', 'failed', 'interrupted', 0, 0, null,
    'ttd/2.csv', 'ttd', 's3://drops/ttd/', 'drops', 'ttd/2.csv', 's3://drops/ttd/2.csv', 'e3', '2025-01-04', 99,
    null, 'outside', null, null),
('00000000-0000-0000-0002-000000000004', '2025-01-04', 'success', '1 rows', 1, 0, '2025-01-05',
    'ttd/3.csv', 'ttd', 's3://drops/ttd/', 'drops', 'ttd/3.csv', 's3://drops/ttd/3.csv', 'e4', '2025-01-05', 99,
    'def', null, null, '2025-01-06');

insert into media.staging_media_raw (
    ingestion_run_id, client_id, date, campaign_name, strategy_name, placement_name, creative_name,
    impressions, clicks, ctr, conversions, conversion_revenue
) values
('00000000-0000-0000-0002-000000000001', '00000000-0000-0000-0000-00000000000a', '2025-01-02',
    'Spring', 'S', 'P', 'One', 1000, 10, 0.01, 1, 12.5),
('00000000-0000-0000-0002-000000000004', '00000000-0000-0000-0000-00000000000b', '2025-01-04',
    'Summer', 'S', 'P', 'Two', 7, 0, null, 0, -1);

insert into media_ops.rejected_rows (run_id, line_number, raw_line, reason, sentence, client_name) values
('00000000-0000-0000-0002-000000000001', 3, '2025-01-02,Zeta,Spring', 'client', 'there is no client Zeta', 'Zeta');

insert into media_ops.feeds (location, name, redelivery, client_from_key) values
('s3://drops/ttd/', 'ttd', 'replace', false), ('s3://drops/old/', 'old', 'append', true);

insert into media_ops.run_days (run_id, client_id, date, row_count) values
('00000000-0000-0000-0002-000000000001', '00000000-0000-0000-0000-00000000000a', '2025-01-02', 1),
('00000000-0000-0000-0002-000000000004', '00000000-0000-0000-0000-00000000000b', '2025-01-04', 1);

insert into media_ops.days_built (client_id, date, fingerprint, staged_run_ids, aliases_fingerprint, built_at) values
('00000000-0000-0000-0000-00000000000a', '2025-01-02', 'f', '{00000000-0000-0000-0002-000000000001}', '', '2025-01-03'),
('00000000-0000-0000-0000-00000000000b', '2025-01-04', null, '{}', '', null);

insert into media.campaigns values
('00000000-0000-0000-0003-000000000001', '00000000-0000-0000-0000-00000000000a', 'Spring', '2025-01-03', '2025-01-03');
insert into media.strategies values
('00000000-0000-0000-0004-000000000001', '00000000-0000-0000-0000-00000000000a',
    '00000000-0000-0000-0003-000000000001', 'S', '2025-01-03', '2025-01-03');
insert into media.placements values
('00000000-0000-0000-0005-000000000001', '00000000-0000-0000-0000-00000000000a',
    '00000000-0000-0000-0004-000000000001', 'P', '2025-01-03', '2025-01-03');
insert into media.creatives values
('00000000-0000-0000-0006-000000000001', '00000000-0000-0000-0000-00000000000a',
    '00000000-0000-0000-0005-000000000001', 'One', null, '2025-01-03', '2025-01-03');
insert into media.daily_metrics (
    id, client_id, date, campaign_id, strategy_id, placement_id, creative_id, impressions, clicks, ctr, conversions,
    conversion_revenue, spend, cpc, cpa, roas, created_at, updated_at
) values
('00000000-0000-0000-0007-000000000001', '00000000-0000-0000-0000-00000000000a', '2025-01-02',
    '00000000-0000-0000-0003-000000000001', '00000000-0000-0000-0004-000000000001',
    '00000000-0000-0000-0005-000000000001', '00000000-0000-0000-0006-000000000001',
    1000, 10, 0.01, 1, 12.5, 3.25, 0.325, 3.25, 3.8462, '2025-01-03', '2025-01-03');
insert into media.weekly_summaries values
('00000000-0000-0000-0008-000000000001', '00000000-0000-0000-0000-00000000000a', '2024-12-30', '2025-01-05',
    1000, 10, 1, 12.5, 3.25, 0.01, 0.325, 3.25, 3.8462, '[]', '[]', '2025-01-03');
insert into media.monthly_summaries values
('00000000-0000-0000-0009-000000000001', '00000000-0000-0000-0000-00000000000a', '2025-01-01', '2025-01-31',
    1000, 10, 1, 12.5, 3.25, 0.01, 0.325, 3.25, 3.8462, '[]', '[]', '2025-01-03');

-- What dbt did for each mart in the transaction that made it.
select media_ops.protect_by_client('media.' || mart, 'client_id')
from unnest(array[
    'campaigns', 'strategies', 'placements', 'creatives', 'daily_metrics', 'weekly_summaries', 'monthly_summaries'
]) as mart;
select media_ops.auto_update('media.' || mart)
from unnest(array['campaigns', 'strategies', 'placements', 'creatives', 'daily_metrics']) as mart;
