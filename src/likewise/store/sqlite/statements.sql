-- The write path takes a whole batch as JSON and does its work in two steps: `state` reads what the batch meets, and one
-- insert into `batch` writes what it comes to. Outside a transaction that one insert is the transaction, fsync included.
-- A step is what the writer's thread needs the interpreter's lock for, and beside a busy event loop each costs more than
-- the work itself (docs/decisions/003-one-statement-commits.md).

-- name: state
-- [[user_id, item_id], …] and [item_id, …] -> in the same orders, [[liked_at, item_type] or null, …] and
-- [[likes, version], …] with [0, 0] for an item never liked
select
    (
        select json_group_array(iif(r.liked_at is null, null, json_array(r.liked_at, r.item_type)))
        from json_each(?1) p
        left join user_likes r on r.user_id = p.value ->> 0 and r.rank = 0 and r.item_id = p.value ->> 1
    ),
    (
        select json_group_array(json_array(ifnull(c.likes, 0), ifnull(c.version, 0)))
        from json_each(?2) p
        left join item_likes c on c.item_id = p.value and c.rank = 0 and c.user_id = ''
    );

-- name: create_batch
-- come: [[user_id, item_id, liked_at, item_type], …]    gone_users: [[user_id, rank, item_id], …]
-- likers: [[item_id, rank, user_id], …]                 gone_likers: the same
-- tallies: [[item_id, likes, version], …]               added: likes come less likes gone
-- changes: [[seq, at, user_id, item_id, item_type, liked, liked_at], …]
create temp view batch as
select null as gone_users, null as gone_likers, null as come, null as likers, null as tallies, null as changes, 0 as added;

-- name: create_apply
create temp trigger apply instead of insert on batch begin
    delete from user_likes where (user_id, rank, item_id) in (
        select value ->> 0, value ->> 1, value ->> 2 from json_each(new.gone_users)
    );
    delete from item_likes where (item_id, rank, user_id) in (
        select value ->> 0, value ->> 1, value ->> 2 from json_each(new.gone_likers)
    );
    -- The limit keeps the subquery whole, so that each row's JSON is taken apart once and not twice.
    insert or replace into user_likes (user_id, rank, item_id, item_type, liked_at)
    select user_id, iif(timeline, ~liked_at, 0), item_id, item_type, liked_at
    from (
        select value ->> 0 as user_id, value ->> 1 as item_id, value ->> 2 as liked_at, value ->> 3 as item_type
        from json_each(new.come)
        limit -1
    ) cross join (select 0 as timeline union all select 1);
    insert or replace into item_likes (item_id, rank, user_id)
    select value ->> 0, value ->> 1, value ->> 2 from json_each(new.likers);
    insert or replace into item_likes (item_id, rank, user_id, likes, version)
    select value ->> 0, 0, '', value ->> 1, value ->> 2 from json_each(new.tallies);
    insert into changes (seq, at, user_id, item_id, item_type, liked, liked_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    from json_each(new.changes);
    update notes set value = value + new.added where key = 'likes';
end;

-- name: apply
insert into batch (gone_users, gone_likers, come, likers, tallies, changes, added) values (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: trim_changes
-- Of the ?2 oldest changes drops those older than ?1, and never the newest: the next ones continue its seq and time.
delete from changes
where seq < coalesce(
    (
        select seq from changes
        where at >= ?1 and seq < (select min(seq) from changes) + ?2
        order by seq
        limit 1
    ),
    -- one min or max per select: SQLite finds each at an end of the table, and would read all of it for both at once
    min((select min(seq) from changes) + ?2, (select max(seq) from changes))
);

-- Reads.

-- name: tallies
-- [item_id, …] -> [[likes, version], …] in the same order; [0, 0] for an item never liked
select json_group_array(json_array(ifnull(c.likes, 0), ifnull(c.version, 0)))
from json_each(?1) p
left join item_likes c on c.item_id = p.value and c.rank = 0 and c.user_id = '';

-- name: liked
-- [[user_id, item_id], …] -> [liked_at or null, …] in the same order
select json_group_array(r.liked_at)
from json_each(?1) p
left join user_likes r on r.user_id = p.value ->> 0 and r.rank = 0 and r.item_id = p.value ->> 1;

-- name: timeline
select item_id, item_type, liked_at from user_likes
where user_id = ?1 and rank < 0 and (rank, item_id) > (?2, ?3)
order by rank, item_id
limit ?4;

-- name: timeline_of_type
select item_id, item_type, liked_at from user_likes
where user_id = ?1 and rank < 0 and (rank, item_id) > (?2, ?3) and item_type = ?5
order by rank, item_id
limit ?4;

-- name: likers
select user_id, ~rank from item_likes
where item_id = ?1 and rank < 0 and (rank, user_id) > (?2, ?3)
order by rank, user_id
limit ?4;

-- name: changes
select seq, at, user_id, item_id, item_type, liked, liked_at from changes
where seq > ?1
order by seq
limit ?2;

-- name: change_bounds
select (select min(seq) from changes), (select max(seq) from changes), (select at from changes order by seq desc limit 1);

-- name: scan
-- The rest of one user's register, then the users after that one.
select * from (
    select user_id, item_id, item_type, liked_at from user_likes
    where user_id = ?1 and rank = 0 and item_id > ?2
    order by item_id
)
union all
select * from (
    select user_id, item_id, item_type, liked_at from user_likes
    where user_id > ?1 and rank = 0
    order by user_id, item_id
)
limit ?3;

-- name: note
select value from notes where key = ?1;

-- name: put_note
insert or replace into notes (key, value) values (?1, ?2);
