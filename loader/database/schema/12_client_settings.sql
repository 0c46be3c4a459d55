-- The CPMs of each client, each with the date from which it is in force (null: from the beginning).
create table if not exists media.client_settings (
    id uuid primary key,
    client_id uuid not null references media.clients (id) on update cascade on delete restrict,
    cpm decimal(10, 4) not null check (cpm >= 0),
    effective_date date,
    created_at timestamp not null default (now() at time zone 'utc'),
    updated_at timestamp not null default (now() at time zone 'utc'),
    constraint client_settings_one_rate_a_date unique nulls not distinct (client_id, effective_date),
    -- NaN would pass cpm >= 0, and -infinity would mean the same as null
    constraint client_settings_finite check (cpm <> 'NaN' and isfinite(effective_date))
);
comment on table media.client_settings is 'The CPMs of each client, each with the date from which it is in force.';
comment on column media.client_settings.id is 'The setting.';
comment on column media.client_settings.client_id is 'The client.';
comment on column media.client_settings.cpm is 'The price of a thousand impressions.';
comment on column media.client_settings.effective_date is
'The first day on which this CPM is in force; null: from the beginning. It ends when the client''s next one begins.';
comment on column media.client_settings.created_at is 'When the row was inserted, UTC.';
comment on column media.client_settings.updated_at is 'When something in the row last changed, UTC.';
select
    media_ops.set_id_default('media.client_settings'),
    media_ops.auto_update('media.client_settings');

select media_ops.add_index('media.client_settings', 'idx_client_settings_client_id', '(client_id)');

grant select on media.client_settings to media_loader, media_transformer, media_reader;
