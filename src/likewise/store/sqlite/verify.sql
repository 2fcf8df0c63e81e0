-- Verification, a range of keys at a time: each statement sees one snapshot, and none holds it for long.
-- Ranges are (?1, ?2] of user ids or item ids; an empty blob as ?2, which sorts behind every text, means to the end.

-- name: user_range_end
select user_id from user_likes where user_id > ?1 order by user_id limit 1 offset ?2;

-- name: item_range_end
select item_id from item_likes where item_id > ?1 order by item_id limit 1 offset ?2;

-- name: count_register
select count(*) from user_likes where user_id > ?1 and user_id <= ?2 and rank = 0;

-- name: not_in_timeline
select r.user_id, r.item_id from user_likes r
where r.user_id > ?1 and r.user_id <= ?2 and r.rank = 0 and not exists (
    select 1 from user_likes t
    where t.user_id = r.user_id and t.rank = ~r.liked_at and t.item_id = r.item_id
    and t.item_type is r.item_type and t.liked_at = r.liked_at
);

-- name: not_in_likers
select r.user_id, r.item_id from user_likes r
where r.user_id > ?1 and r.user_id <= ?2 and r.rank = 0 and not exists (
    select 1 from item_likes l where l.item_id = r.item_id and l.rank = ~r.liked_at and l.user_id = r.user_id
);

-- name: only_in_timeline
select t.user_id, t.item_id from user_likes t
where t.user_id > ?1 and t.user_id <= ?2 and t.rank < 0 and not exists (
    select 1 from user_likes r
    where r.user_id = t.user_id and r.rank = 0 and r.item_id = t.item_id and ~r.liked_at = t.rank
);

-- name: only_in_likers
select l.user_id, l.item_id from item_likes l
where l.item_id > ?1 and l.item_id <= ?2 and l.rank < 0 and not exists (
    select 1 from user_likes r
    where r.user_id = l.user_id and r.rank = 0 and r.item_id = l.item_id and ~r.liked_at = l.rank
);

-- name: wrong_counts
select item_id, coalesce(max(iif(rank = 0, likes, null)), 0) as stored, sum(rank < 0) as actual
from item_likes
where item_id > ?1 and item_id <= ?2
group by item_id
having stored <> actual;

-- name: count_items
select count(*) from item_likes where item_id > ?1 and item_id <= ?2 and rank = 0 and likes > 0;

-- Repairs of one pair, from its register row; each does nothing where nothing is wrong.

-- name: drop_stray_timeline
delete from user_likes
where user_id = ?1 and item_id = ?2 and rank < 0 and rank is not (
    select ~r.liked_at from user_likes r where r.user_id = ?1 and r.rank = 0 and r.item_id = ?2
);

-- name: drop_stray_likers
delete from item_likes
where item_id = ?2 and user_id = ?1 and rank < 0 and rank is not (
    select ~r.liked_at from user_likes r where r.user_id = ?1 and r.rank = 0 and r.item_id = ?2
);

-- name: restore_timeline
insert or replace into user_likes (user_id, rank, item_id, item_type, liked_at)
select user_id, ~liked_at, item_id, item_type, liked_at from user_likes
where user_id = ?1 and rank = 0 and item_id = ?2;

-- name: restore_liker
insert or replace into item_likes (item_id, rank, user_id)
select item_id, ~liked_at, user_id from user_likes
where user_id = ?1 and rank = 0 and item_id = ?2;

-- name: recount
insert or replace into item_likes (item_id, rank, user_id, likes, version)
select
    ?1, 0, '',
    (select count(*) from item_likes where item_id = ?1 and rank < 0),
    (select max(seq) from changes);

-- name: totals
select (select value from notes where key = 'likes'), (select count(*) from user_likes where rank = 0);

-- name: recount_likes
update notes set value = (select count(*) from user_likes where rank = 0) where key = 'likes';
