-- Everything about a user lies side by side, and everything about an item: a like touches one page of each, not four.
-- See docs/decisions/002-sqlite-layout.md for what was measured.

-- Two rows per like. rank 0: the register, which decides whether a like stands.
-- rank ~liked_at (below 0): the user's timeline, so ascending rank is newest first.
create table user_likes (
    user_id text not null,
    rank integer not null,
    item_id text not null,
    item_type text,
    liked_at integer not null,
    primary key (user_id, rank, item_id)
) without rowid, strict;

-- rank ~liked_at: the item's likers, newest first (user_id set, likes and version null).
-- rank 0: its count (user_id empty), written in the same transaction as the likes it counts.
create table item_likes (
    item_id text not null,
    rank integer not null,
    user_id text not null,
    likes integer,
    version integer,
    primary key (item_id, rank, user_id)
) without rowid, strict;

-- Every transition, in order. liked_at is null for an unlike.
create table changes (
    seq integer primary key,
    at integer not null,
    user_id text not null,
    item_id text not null,
    item_type text,
    liked integer not null,
    liked_at integer
) strict;

-- Small values that must survive a restart: 'epoch', 'likes' (how many stand), and what the service asked to remember.
create table notes (
    key text primary key,
    value any not null
) without rowid, strict;

-- For people with a SQL prompt.
create view likes as select user_id, item_id, item_type, liked_at from user_likes where rank = 0;
create view counts as select item_id, likes, version from item_likes where rank = 0;
