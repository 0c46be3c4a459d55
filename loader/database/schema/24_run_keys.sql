-- What the key of each run's object says under the current feeds.yml. A change of key_pattern reads the keys again.
create table if not exists media_ops.run_keys (
    run_id uuid primary key references media.ingestion_logs (id) on update cascade on delete restrict,
    key_date date,
    client text,
    client_id uuid references media.clients (id) on update cascade on delete restrict,
    part text,
    delivery text,
    key_rules text not null
);
comment on table media_ops.run_keys is
'What the key of each run''s object says under the current feeds.yml.';
comment on column media_ops.run_keys.run_id is 'The run.';
comment on column media_ops.run_keys.key_date is 'The date in the key; null: none.';
comment on column media_ops.run_keys.client is
'The client in the key, as it is written there; null: the feed does not take the client from the key.';
comment on column media_ops.run_keys.client_id is 'That client; null: none, or not known yet.';
comment on column media_ops.run_keys.part is
'The part; empty: the group matched nothing; null: key_pattern has no group part.';
comment on column media_ops.run_keys.delivery is
'The delivery; empty: the group matched nothing; null: key_pattern has no group delivery.';
comment on column media_ops.run_keys.key_rules is
'A fingerprint of the settings with which the key was read: Feed.key_rules in loader/files/feeds.py.';
-- media transform follows the current feeds.yml, too.
grant select, insert, update on media_ops.run_keys to media_loader, media_transformer;
