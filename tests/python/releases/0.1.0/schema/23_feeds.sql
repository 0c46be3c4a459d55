-- What feeds.yml says today of each feed, as far as it decides which rows count. Its location is its identity.
create table if not exists media_ops.feeds (
    location text primary key,
    name text not null,
    redelivery text not null check (redelivery in ('replace', 'append')),
    client_from_key boolean not null,
    updated_at timestamp not null default (now() at time zone 'utc')
);
select media_ops.auto_update('media_ops.feeds');
comment on table media_ops.feeds is
'What feeds.yml says today of each feed, as far as it decides which rows count.';
comment on column media_ops.feeds.location is 'The feed''s identity: s3://bucket/prefix/.';
comment on column media_ops.feeds.name is 'What people call it.';
comment on column media_ops.feeds.redelivery is 'replace: the latest file of a (client, date) counts; append: all do.';
comment on column media_ops.feeds.client_from_key is 'Whether the key of an object names the client.';
comment on column media_ops.feeds.updated_at is 'When something in the row last changed, UTC.';
-- Today's feeds.yml governs a transform too, so it writes what a load would have written.
grant select, insert, update on media_ops.feeds to media_loader, media_transformer;
