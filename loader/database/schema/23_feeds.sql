-- The settings in feeds.yml that decide which rows are live, for each feed. A feed is identified by its location.
create table if not exists media_ops.feeds (
    location text primary key,
    name text not null,
    redelivery text not null check (redelivery in ('replace', 'append')),
    client_from_key boolean not null,
    updated_at timestamp not null default (now() at time zone 'utc')
);
select media_ops.auto_update('media_ops.feeds');
comment on table media_ops.feeds is
'The settings in feeds.yml that decide which rows are live, for each feed.';
comment on column media_ops.feeds.location is 'The location of the feed, which identifies it: s3://bucket/prefix/.';
comment on column media_ops.feeds.name is 'Its name in feeds.yml.';
comment on column media_ops.feeds.redelivery is
'replace: the newest file of a (client, date) replaces the others; append: they add up.';
comment on column media_ops.feeds.client_from_key is 'Whether the feed takes the client from the key of the object.';
comment on column media_ops.feeds.updated_at is 'When something in the row last changed, UTC.';
-- media transform follows the current feeds.yml, too, so it writes this table as a load does.
grant select, insert, update on media_ops.feeds to media_loader, media_transformer;
