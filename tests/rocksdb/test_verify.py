"""Drift planted in every view is found, and repaired from the register alone."""

import asyncio
import sys
from collections.abc import Sequence

import pytest

from likewise import Likes
from likewise.errors import Closed
from likewise.model import Drift
from likewise.store import open_store
from likewise.store.rocksdb import RocksStore, keys
from likewise.store.rocksdb.values import row_to_bytes, tally_to_bytes
from likewise.store.rocksdb.writer import Draft
from tests.clocks import NEW_YEAR, SetClock
from tests.ops import all_likers, all_likes, everything, like, unlike
from tests.rocksdb.edits import Edit, liker, plant, timeline

T = 1_000_000
AT = 17 * T
"""Since when u1 likes i2."""

ROW = timeline("u1", AT, "i2")
LIKER = liker("i2", AT, "u1")

PLANTED: dict[str, tuple[Sequence[Edit], list[tuple[str, str]]]] = {
    "a timeline entry is missing": ([(ROW, None)], [("timeline", "u1")]),
    "a timeline entry is too many": ([(timeline("u1", 5, "i9"), b"")], [("timeline", "u1")]),
    "a timeline entry of somebody unknown is too many": ([(timeline("zz", 5, "i9"), b"")], [("timeline", "zz")]),
    "a timeline entry has another time": (
        [(ROW, None), (timeline("u1", 7, "i2"), b"post")],
        [("timeline", "u1"), ("timeline", "u1")],  # the right one is missing, the wrong one is too many
    ),
    "a timeline entry has another type": ([(ROW, b"wrong")], [("timeline", "u1")]),
    "a timeline entry has no type": ([(ROW, b"")], [("timeline", "u1")]),
    "a like is in the timeline twice": ([(timeline("u1", 7, "i2"), b"")], [("timeline", "u1")]),
    "a timeline entry stands in for another": (
        [(ROW, None), (timeline("u1", AT, "i9"), b"post")],
        [("timeline", "u1"), ("timeline", "u1")],
    ),
    "a liker is missing": ([(LIKER, None)], [("likers", "i2")]),
    "a liker is too many": ([(liker("i2", 7, "u9"), b"")], [("likers", "i2")]),
    "a liker of an item unknown is too many": ([(liker("zz", 7, "u9"), b"")], [("likers", "zz")]),
    "a liker has another time": (
        [(LIKER, None), (liker("i2", 7, "u1"), b"")],
        [("likers", "i2"), ("likers", "i2")],
    ),
    "all likers of an item are missing": (
        [(liker("i4", n * T, f"u{n % 4}"), None) for n in range(4, 20, 5)],
        [("likers", "i4")] * 4,
    ),
    "a count is too high": ([(keys.count("i2"), tally_to_bytes((999, 1)))], [("counts", "i2")]),
    "a count is too low": ([(keys.count("i2"), tally_to_bytes((0, 1)))], [("counts", "i2")]),
    "a count is missing": ([(keys.count("i2"), None)], [("counts", "i2")]),
    "a count of nothing is too high": ([(keys.count("zz"), tally_to_bytes((3, 1)))], [("counts", "zz")]),
    "all likers of an item and its count are missing": (
        [(liker("i4", n * T, f"u{n % 4}"), None) for n in range(4, 20, 5)] + [(keys.count("i4"), None)],
        [("likers", "i4")] * 4 + [("counts", "i4")],
    ),
    "a like lost its register": (
        [(keys.register("u1", "i2"), None)],
        [("timeline", "u1"), ("likers", "i2"), ("counts", "i2"), ("stats", "likes")],
    ),
    "a like is in nothing but the register": (
        [(keys.register("u8", "i8"), row_to_bytes((5, "post")))],
        [("timeline", "u8"), ("likers", "i8"), ("counts", "i8"), ("stats", "likes")],
    ),
}

OF_THE_VIEWS = {what: planted for what, planted in PLANTED.items() if "register" not in what}


async def fill(store: RocksStore) -> None:
    await store.apply([like(f"u{n % 4}", f"i{n % 5}", "post" if n % 2 else None, n * T) for n in range(20)])
    await store.apply([unlike("u3", "i3")])


async def views(store: RocksStore) -> list[object]:
    users, items = [*(f"u{n}" for n in range(10)), "zz"], [*(f"i{n}" for n in range(10)), "zz"]
    return [
        [await all_likes(store, user) for user in users],
        [await all_likers(store, item) for item in items],
        [count.count for count in await store.counts(items)],
        (await store.stats()).likes,
        await everything(store),
    ]


@pytest.mark.parametrize("what", PLANTED)
async def test_planted_drift_is_found_where_it_is(store: RocksStore, what: str) -> None:
    edits, expected = PLANTED[what]
    await fill(store)
    await plant(store, edits)
    report = await store.verify()
    assert sorted((drift.view, drift.id) for drift in report.drift) == sorted(expected)
    assert (report.drifted, report.repaired) == (len(expected), False)
    assert await store.verify() == report, "looking must change nothing"


@pytest.mark.parametrize("what", PLANTED)
async def test_planted_drift_is_repaired_exactly(store: RocksStore, url: str, what: str) -> None:
    edits, _ = PLANTED[what]
    await fill(store)
    before = await views(store)
    await plant(store, edits)
    assert (await store.verify(repair=True)).repaired
    assert (await store.verify()).drifted == 0
    if what == "a like lost its register":  # the register is the truth: that like does not stand
        assert await store.liked([("u1", "i2")]) == [None]
        assert (await store.stats()).likes == 18
    elif what == "a like is in nothing but the register":
        assert [row.item_type for row in await all_likes(store, "u8")] == ["post"]
        assert [count.count for count in await store.counts(["i8"])] == [1]
        assert (await store.stats()).likes == 20
    else:
        assert await views(store) == before
    await store.apply([unlike("u1", "i1"), like("u1", "new")])
    await store.close()
    again = await open_store(url)
    assert (await again.verify()).drifted == 0, "a repair is durable"
    await again.close()


@pytest.mark.parametrize("by", [-3, 5])
async def test_a_wrong_total_is_found_and_repaired(store: RocksStore, by: int) -> None:
    await fill(store)

    def wrong(draft: Draft) -> None:
        draft.tip = draft.tip._replace(likes=draft.tip.likes + by)

    await store._writer.run(wrong)
    assert [(drift.view, drift.id) for drift in (await store.verify()).drift] == [("stats", "likes")]
    await store.verify(repair=True)
    assert (await store.verify()).drifted == 0
    assert (await store.stats()).likes == 19


async def test_drift_in_every_view_at_once_is_repaired(store: RocksStore) -> None:
    await fill(store)
    before = await views(store)
    for edits, _ in OF_THE_VIEWS.values():
        await plant(store, edits)
    await store.verify(repair=True)
    assert (await store.verify()).drifted == 0
    assert await views(store) == before


async def test_a_report_shows_at_most_100_places_and_counts_all(store: RocksStore) -> None:
    await store.apply([like(f"u{n}", f"i{n}") for n in range(300)])
    await plant(store, [(keys.count(f"i{n}"), tally_to_bytes((7, 1))) for n in range(300)])
    report = await store.verify()
    assert (report.drifted, len(report.drift)) == (300, 100)
    assert report.drift[0] == Drift("counts", "i0", "says 7, and 1 like it")
    assert (await store.verify(repair=True)).drifted == 300
    assert (await store.verify()).drifted == 0


async def test_more_than_is_mended_at_once_is_mended(store: RocksStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["likewise.store.rocksdb.verify"], "MENDED_AT_ONCE_MAX", 7)
    await store.apply([like(f"u{n}", f"i{n % 3}") for n in range(100)])
    before = await views(store)
    await plant(store, [(timeline(f"u{n}", NEW_YEAR + n, f"i{n % 3}"), None) for n in range(50)])
    await plant(store, [(liker(f"i{n % 3}", NEW_YEAR + n, f"u{n}"), None) for n in range(30, 80)])
    await plant(store, [(liker("i0", n, f"x{n}"), b"") for n in range(20)])
    assert (await store.verify(repair=True)).drifted == 120
    assert (await store.verify()).drifted == 0
    assert await views(store) == before


async def test_a_repair_changes_what_the_cache_holds(url: str, clock: SetClock) -> None:
    async with Likes.open(url, clock=clock) as likes:
        assert isinstance(likes.store, RocksStore)
        await likes.like("u", "i")
        await likes.like("u", "j")
        await plant(likes.store, [(keys.count("i"), tally_to_bytes((7, 1)))])
        likes.cache.clear()
        assert (await likes.count("i")).count == 7
        await likes.verify(repair=True)
        assert (await likes.count("i")).count == 1


async def test_drift_planted_under_load_is_repaired_and_nothing_else_is_touched(url: str, clock: SetClock) -> None:
    async with Likes.open(url, clock=clock) as likes:
        store = likes.store
        assert isinstance(store, RocksStore)
        await fill(store)
        expected = {(row.user_id, row.item_id) for row in await everything(store)}
        planted = False

        async def write() -> None:
            n = 0
            while n < 30 or not planted:
                await asyncio.gather(*(likes.like(f"w{k}", f"i{(n + k) % 5}") for k in range(8)))
                await asyncio.gather(*(likes.unlike(f"w{k}", f"i{(n * k) % 5}") for k in range(8)))
                n += 1

        writing = asyncio.ensure_future(write())
        for edits, _ in OF_THE_VIEWS.values():
            await plant(store, edits)
            await likes.verify(repair=True)
        planted = True
        await writing
        assert (await likes.verify(repair=True)).drifted == 0
        kept = {(row.user_id, row.item_id) for row in await everything(store, 100) if row.user_id[0] != "w"}
        assert kept == expected


async def test_what_changed_since_verify_looked_is_repaired_to_what_stands_now(
    store: RocksStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the repair of an entry, its like is undone and made again, and others come and go."""
    await fill(store)
    await plant(store, [(ROW, None), (LIKER, None), (timeline("u2", 5, "i9"), b""), (liker("i9", 5, "u2"), b"")])
    verification = sys.modules["likewise.store.rocksdb.verify"]._Verification
    find = verification._find_missing
    loop = asyncio.get_running_loop()

    def find_and_wait(self: object) -> None:
        find(self)
        ops = [unlike("u1", "i2"), like("u1", "i2"), like("u2", "i9", None, 5), unlike("u0", "i0")]
        asyncio.run_coroutine_threadsafe(store.apply(ops), loop).result()

    monkeypatch.setattr(verification, "_find_missing", find_and_wait)
    await store.verify(repair=True)
    monkeypatch.undo()
    assert (await store.verify()).drifted == 0
    assert await store.liked([("u2", "i9"), ("u0", "i0")]) == [5, None]
    assert [row.item_id for row in await all_likes(store, "u1")].count("i2") == 1


async def test_closing_ends_a_verify_and_lets_go_of_the_directory(
    store: RocksStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = sys.modules["likewise.store.rocksdb.verify"]
    monkeypatch.setattr(verify, "BREATH_ROWS", 1)
    await fill(store)
    verifying = asyncio.ensure_future(store.verify())
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(Closed):
        await verifying
    del verifying
    again = await open_store(url)
    assert (await again.stats()).likes == 19
    await again.close()


async def test_a_count_that_is_too_low_keeps_nobody_from_unliking(store: RocksStore) -> None:
    await fill(store)
    await plant(store, [(keys.count("i2"), tally_to_bytes((0, 1)))])
    assert not any(outcome.error for outcome in await store.apply([unlike("u1", "i2"), unlike("u3", "i2")]))
    assert [drift.detail for drift in (await store.verify()).drift] == ["says -2, and 2 like it"]
    await store.verify(repair=True)
    assert [count.count for count in await store.counts(["i2"])] == [2]
