-- The settings in feeds.yml that decide which rows are live, for each feed. A feed is identified by its location.
create table if not exists media_ops.feeds (
    location text primary key,
    name text not null,
    redelivery text not null check (redelivery in ('replace', 'append')),
    client_from_key boolean not null,
    updated_at timestamp not null default (now() at time zone 'utc'),
    moved_from text,
    covers text not null default 'rows' check (covers in ('rows', 'span')),
    same_key text not null default 'replaces' check (same_key in ('replaces', 'adds'))
);
select media_ops.auto_update('media_ops.feeds');
select media_ops.add_column('media_ops.feeds', 'moved_from', 'text');
select media_ops.add_column(
    'media_ops.feeds', 'covers', $$text not null default 'rows' check (covers in ('rows', 'span'))$$
);
select media_ops.add_column(
    'media_ops.feeds', 'same_key',
    $$text not null default 'replaces' check (same_key in ('replaces', 'adds'))$$
);
comment on table media_ops.feeds is
'The settings in feeds.yml that decide which rows are live, for each feed.';
comment on column media_ops.feeds.location is 'The location of the feed, which identifies it: s3://bucket/prefix/.';
comment on column media_ops.feeds.name is 'Its name in feeds.yml.';
comment on column media_ops.feeds.redelivery is
'replace: the newest file of a (client, date) replaces the others; append: they add up.';
comment on column media_ops.feeds.client_from_key is 'Whether the feed takes the client from the key of the object.';
comment on column media_ops.feeds.moved_from is
'The previous location of the feed: its runs are runs of this feed. Null: none.';
comment on column media_ops.feeds.covers is
'rows: a run covers the (client, date)s that it has rows of; span: every day from its first to its last.';
comment on column media_ops.feeds.same_key is
'replaces: a new version of an object replaces the previous one; adds: every version is a delivery of its own.';
comment on column media_ops.feeds.updated_at is 'When something in the row last changed, UTC.';
-- media transform follows the current feeds.yml, too, so it writes this table as a load does.
grant select, insert, update on media_ops.feeds to media_loader, media_transformer;

-- The key of an object below the location of its feed. The same file in the feed's current and in its previous location
-- is one file; if one location contains the other, only the same object is. (A body of this form becomes part of the
-- query, and no search_path matters to it.)
create or replace function media_ops.file_of(object_uri text, loaded_from text, feed_location text) returns text
language sql immutable
return case
    when starts_with(object_uri, feed_location) then substr(object_uri, length(feed_location) + 1)
    when starts_with(feed_location, loaded_from) then object_uri
    else substr(object_uri, length(loaded_from) + 1)
end;
revoke all on function media_ops.file_of(text, text, text) from public;
grant execute on function media_ops.file_of(text, text, text) to media_loader, media_transformer;

-- The feed that has the runs of each location: the feed itself, or the one that moved away from there.
create view media_ops.wanted as
with recursive places (location, feed_location) as (
    select
        feeds.location,
        feeds.location as feed_location
    from media_ops.feeds
    where
        not exists (
            select 1 from media_ops.feeds as moved
            where moved.moved_from = feeds.location
        )
    union
    select
        feeds.moved_from as location,
        places.feed_location
    from places
    inner join media_ops.feeds on places.location = feeds.location
    where feeds.moved_from is not null
)

select
    places.location,
    places.feed_location
from places;
select media_ops.set_view('media_ops.feed_places');
comment on view media_ops.feed_places is 'The feed that has the runs of each location.';
comment on column media_ops.feed_places.location is 'The location under which runs were loaded.';
comment on column media_ops.feed_places.feed_location is 'The current location of the feed that has these runs.';
grant select on media_ops.feed_places to media_loader, media_transformer;
