"""Drift planted in every view is found, and repaired from the register alone."""

import asyncio
import sys
from pathlib import Path

import apsw
import pytest

from likewise import Likes
from likewise.model import Drift
from likewise.store.sqlite import SqliteStore
from tests.clocks import SetClock
from tests.ops import all_likers, all_likes, everything, like, unlike

T = 1_000_000

PLANTED = {
    "a timeline row is missing": (
        "delete from user_likes where user_id = 'u1' and rank < 0 and item_id = 'i2'",
        [("timeline", "u1")],
    ),
    "a timeline row is too many": (
        "insert into user_likes values ('u1', ~5, 'i9', null, 5)",
        [("timeline", "u1")],
    ),
    "a timeline row of somebody unknown is too many": (
        "insert into user_likes values ('zz', ~5, 'i9', null, 5)",
        [("timeline", "zz")],
    ),
    "a timeline row has another time": (
        "update user_likes set rank = ~7, liked_at = 7 where user_id = 'u1' and rank < 0 and item_id = 'i2'",
        [("timeline", "u1"), ("timeline", "u1")],  # the right one is missing, the wrong one is too many
    ),
    "a timeline row shows another time than it is sorted by": (
        "update user_likes set liked_at = 7 where user_id = 'u1' and rank < 0 and item_id = 'i2'",
        [("timeline", "u1")],
    ),
    "a timeline row has another type": (
        "update user_likes set item_type = 'wrong' where user_id = 'u1' and rank < 0 and item_id = 'i2'",
        [("timeline", "u1")],
    ),
    "a like is in the timeline twice": (
        "insert into user_likes values ('u1', ~7, 'i2', null, 7)",
        [("timeline", "u1")],
    ),
    "a liker is missing": (
        "delete from item_likes where item_id = 'i2' and rank < 0 and user_id = 'u1'",
        [("likers", "i2"), ("counts", "i2")],
    ),
    "a liker is too many": (
        "insert into item_likes values ('i2', ~7, 'u9', null, null)",
        [("likers", "i2"), ("counts", "i2")],
    ),
    "a liker of an item unknown is too many": (
        "insert into item_likes values ('zz', ~7, 'u9', null, null)",
        [("likers", "zz"), ("counts", "zz")],
    ),
    "a liker has another time": (
        "update item_likes set rank = ~7 where item_id = 'i2' and rank < 0 and user_id = 'u1'",
        [("likers", "i2"), ("likers", "i2")],
    ),
    "a count is too high": ("update item_likes set likes = 999 where item_id = 'i2' and rank = 0", [("counts", "i2")]),
    "a count is too low": ("update item_likes set likes = 0 where item_id = 'i2' and rank = 0", [("counts", "i2")]),
    "a count is missing": ("delete from item_likes where item_id = 'i2' and rank = 0", [("counts", "i2")]),
    "a count of nothing is too high": (
        "insert or replace into item_likes values ('zz', 0, '', 3, 1)",
        [("counts", "zz")],
    ),
    "the total is too high": ("update notes set value = value + 1 where key = 'likes'", [("stats", "likes")]),
    "the total is too low": ("update notes set value = 0 where key = 'likes'", [("stats", "likes")]),
    "a like lost its register": (
        "delete from user_likes where user_id = 'u1' and rank = 0 and item_id = 'i2'",
        [("timeline", "u1"), ("likers", "i2"), ("stats", "likes")],
    ),
}  # fmt: skip


def plant(file: Path, sql: str) -> None:
    connection = apsw.Connection(str(file))
    connection.set_busy_timeout(5_000)
    connection.execute(sql)
    connection.close()


async def fill(store: SqliteStore) -> None:
    await store.apply([like(f"u{n % 4}", f"i{n % 5}", "post" if n % 2 else None, n * T) for n in range(20)])
    await store.apply([unlike("u3", "i3")])


async def views(store: SqliteStore) -> list[object]:
    users, items = [*(f"u{n}" for n in range(10)), "zz"], [*(f"i{n}" for n in range(10)), "zz"]
    return [
        [await all_likes(store, user) for user in users],
        [await all_likers(store, item) for item in items],
        [count.count for count in await store.counts(items)],
        (await store.stats()).likes,
        await everything(store),
    ]


@pytest.mark.parametrize("what", PLANTED)
async def test_planted_drift_is_found_where_it_is(store: SqliteStore, file: Path, what: str) -> None:
    sql, expected = PLANTED[what]
    await fill(store)
    plant(file, sql)
    report = await store.verify()
    assert sorted((drift.view, drift.id) for drift in report.drift) == sorted(expected)
    assert (report.drifted, report.repaired) == (len(expected), False)
    assert await store.verify() == report, "looking must change nothing"


@pytest.mark.parametrize("what", PLANTED)
async def test_planted_drift_is_repaired_exactly(store: SqliteStore, file: Path, what: str) -> None:
    sql, _ = PLANTED[what]
    await fill(store)
    before = await views(store)
    plant(file, sql)
    assert (await store.verify(repair=True)).repaired
    assert (await store.verify()).drifted == 0
    if what == "a like lost its register":  # the register is the truth: that like does not stand
        assert await store.liked([("u1", "i2")]) == [None]
        assert (await store.stats()).likes == 18
    else:
        assert await views(store) == before
    await store.apply([unlike("u1", "i1"), like("u1", "new")])
    assert (await store.verify()).drifted == 0


async def test_drift_in_every_view_at_once_is_repaired(store: SqliteStore, file: Path) -> None:
    await fill(store)
    before = await views(store)
    plant(file, ";".join(sql for what, (sql, _) in PLANTED.items() if "register" not in what and "zz" not in sql))
    await store.verify(repair=True)
    assert (await store.verify()).drifted == 0
    assert await views(store) == before


async def test_a_report_shows_at_most_100_places_and_counts_all(store: SqliteStore, file: Path) -> None:
    await store.apply([like(f"u{n}", f"i{n}") for n in range(300)])
    plant(file, "update item_likes set likes = 7 where rank = 0")
    report = await store.verify()
    assert (report.drifted, len(report.drift)) == (300, 100)
    assert report.drift[0] == Drift("counts", "i0", "says 7, and 1 like it")
    assert (await store.verify(repair=True)).drifted == 300
    assert (await store.verify()).drifted == 0


async def test_verify_looks_behind_every_range(store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["likewise.store.sqlite.verify"], "RANGE_ROWS", 3)
    await fill(store)
    await store.apply([like("big", f"i{n}") for n in range(30)] + [like(f"v{n}", "big") for n in range(30)])
    assert (await store.verify()).drifted == 0
    assert (await store.verify()).likes == (await store.stats()).likes == len(await everything(store))
    for what, (sql, expected) in PLANTED.items():
        plant(file, sql)
        assert len((await store.verify(repair=True)).drift) <= len(expected), what
        assert (await store.verify()).drifted == 0, what


async def test_a_repair_changes_what_the_cache_holds(url: str, file: Path, clock: SetClock) -> None:
    async with Likes.open(url, clock=clock) as likes:
        await likes.like("u", "i")
        await likes.like("u", "j")
        plant(file, "update item_likes set likes = 7 where item_id = 'i' and rank = 0")
        likes.cache.clear()
        assert (await likes.count("i")).count == 7
        await likes.verify(repair=True)
        assert (await likes.count("i")).count == 1


async def test_drift_planted_under_load_is_repaired_and_nothing_else_is_touched(
    url: str, file: Path, clock: SetClock
) -> None:
    async with Likes.open(url, clock=clock) as likes:
        store = likes.store
        assert isinstance(store, SqliteStore)
        await fill(store)
        expected = {(row.user_id, row.item_id) for row in await everything(store)}

        async def write() -> None:
            for n in range(60):
                await asyncio.gather(*(likes.like(f"w{k}", f"i{(n + k) % 5}") for k in range(8)))
                await asyncio.gather(*(likes.unlike(f"w{k}", f"i{(n * k) % 5}") for k in range(8)))

        writing = asyncio.ensure_future(write())
        for sql, _ in list(PLANTED.values())[:-1]:
            await asyncio.to_thread(plant, file, sql)
            await likes.verify(repair=True)
        await writing
        assert (await likes.verify()).drifted == 0
        kept = {(row.user_id, row.item_id) for row in await everything(store, 100) if row.user_id[0] != "w"}
        assert kept == expected
