-- What feeds.yml says today of each feed, as far as it decides which rows count. Its location is its identity.
create table if not exists media_ops.feeds (
    location text primary key,
    name text not null,
    redelivery text not null check (redelivery in ('replace', 'append')),
    client_from_key boolean not null,
    updated_at timestamp not null default (now() at time zone 'utc')
);
select media_ops.auto_update('media_ops.feeds');
-- Today's feeds.yml governs a transform too, so it writes what a load would have written.
grant select, insert, update on media_ops.feeds to media_loader, media_transformer;
