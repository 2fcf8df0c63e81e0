"""Dropping old changes: by whole commits, and in the middle of one; whoever follows them misses none and meets none
twice. And lists along which many likes came and went."""

import sys
from itertools import count

import pytest

from likewise.errors import PositionExpired
from likewise.model import Change, Op, Position
from likewise.store import open_store
from likewise.store.rocksdb import RocksStore, keys
from likewise.store.rocksdb.database import Database
from tests.clocks import DAY, SECOND, SetClock
from tests.ops import all_changes, all_likers, all_likes, everything, like, unlike


def trimming_at_most(monkeypatch: pytest.MonkeyPatch, changes: int) -> None:
    monkeypatch.setattr(sys.modules["likewise.store.rocksdb"], "TRIM_CHANGES_MAX", changes)


async def commits(store: RocksStore, sizes: list[int]) -> list[Change]:
    """Commits of so many likes each; returns all changes."""
    numbers = count((await store.stats()).position.offset(0))
    for size in sizes:
        await store.apply([like("u", f"i{next(numbers):04}") for _ in range(size)])
    return await all_changes(store)


def kept_commits(store: RocksStore) -> list[int]:
    """The offsets under which commits are kept."""
    return [keys.changes_offset(key) for key, _ in store._writer.view.lists(keys.CHANGES, keys.CHANGES)]


@pytest.mark.parametrize("at_most", [1, 2, 3, 4, 7, 9, 10, 11, 100])
async def test_in_steps_of_any_size_everything_old_is_dropped_but_the_newest(
    store: RocksStore, url: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch, at_most: int
) -> None:
    trimming_at_most(monkeypatch, at_most)
    changes = await commits(store, [3, 1, 5, 1, 4])
    clock.step(8 * DAY)
    left = 14
    while dropped := await store.expire():
        assert dropped == min(at_most, left - 1)
        left -= dropped
        assert await all_changes(store) == changes[-left:]
        assert await all_changes(store, changes[-left - 1].position) == changes[-left:]
        with pytest.raises(PositionExpired):
            await store.changes(Position(changes[0].position.epoch, ((0, 13 - left),)), 10)
        assert (await store.stats()).oldest_change == 15 - left
        assert len(kept_commits(store)) == sum(offset > 14 - left for offset in (3, 4, 9, 10, 14))
    assert left == 1
    await store.close()
    again = await open_store(url, clock=clock)
    assert await all_changes(again) == changes[-1:]
    (outcome,) = await again.apply([like("u", "more")])
    assert [change.position.offset(0) for change in await all_changes(again)] == [14, 15] == [14, outcome.offset]
    await again.close()


async def test_a_commit_of_which_a_part_is_old_is_cut_in_the_middle(store: RocksStore, clock: SetClock) -> None:
    """The ops of one batch are a microsecond apart, so the age may end in the middle of one."""
    await commits(store, [2])
    clock.step(SECOND)
    changes = await commits(store, [10, 2])
    clock.step(7 * DAY + 4)
    assert await store.expire() == 2 + 4
    assert await all_changes(store) == changes[6:]
    assert kept_commits(store) == [12, 14]
    assert await store.expire() == 0
    clock.step(1)
    assert await store.expire() == 1
    assert await all_changes(store) == changes[7:]
    clock.step(DAY)
    assert await store.expire() == 6
    assert await all_changes(store) == changes[13:]


async def test_following_goes_on_across_a_trim(
    store: RocksStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimming_at_most(monkeypatch, 4)
    changes = await commits(store, [5, 5, 5])
    clock.step(8 * DAY)
    met: list[Change] = []
    position: Position | None = None
    for n in range(20):
        part = await store.changes(position, 3)
        met += part.items
        position = part.position
        if n < 3:
            # What was met is dropped, and one that was not yet: 4 a time, for 3 that are read.
            await store.apply([Op("v", f"w{n}", True)])
            if n == 0:
                assert await store.expire() == 4
                with pytest.raises(PositionExpired):
                    await store.changes(position, 3)
                position = changes[3].position
                met = changes[:4]
        if not part.has_more:
            break
    assert [change.position.offset(0) for change in met] == list(range(1, 19))


async def test_expiry_that_drops_nothing_writes_nothing(
    store: RocksStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commits(store, [3, 2])
    written: list[Database] = []
    monkeypatch.setattr(Database, "write", lambda self, batch: written.append(self))
    assert await store.expire() == 0
    assert written == []


async def test_dropped_changes_stay_dropped_through_flushes(store: RocksStore, url: str, clock: SetClock) -> None:
    changes = await commits(store, [3, 1, 5])
    store._database.flush()
    clock.step(8 * DAY)
    assert await store.expire() == 8
    store._database.flush()
    assert await all_changes(store) == changes[8:]
    await store.close()
    again = await open_store(url, clock=clock)
    assert await all_changes(again) == changes[8:]
    assert kept_commits(again) == [9]  # pyright: ignore[reportArgumentType]
    await again.close()


@pytest.mark.parametrize("flushed", [False, True])
async def test_lists_of_which_most_was_unliked_are_whole(store: RocksStore, flushed: bool) -> None:
    """What was removed lies as tombstones between what stands, and pages pass over them."""
    users = [f"u{n:04}" for n in range(3_000)]
    await store.apply([like(user, "i") for user in users] + [like("u", f"i{n:04}") for n in range(3_000)])
    if flushed:
        store._database.flush()
    standing = users[::500]
    await store.apply([unlike(user, "i") for user in users if user not in standing])
    await store.apply([unlike("u", f"i{n:04}") for n in range(3_000) if n % 500])
    for limit in (1, 2, 100):
        assert [row.user_id for row in await all_likers(store, "i", limit)] == standing[::-1]
        assert [row.item_id for row in await all_likes(store, "u", limit)] == [
            f"i{n:04}" for n in range(2_500, -1, -500)
        ]
    assert len((await store.likers_of("i", 100)).items) == len(standing)
    assert len(await everything(store, 5)) == 12
    assert (await store.verify()).drifted == 0


async def test_a_page_begins_behind_its_cursor_among_likes_of_one_moment(store: RocksStore) -> None:
    """Also where the like that the cursor was made from is gone, and where one id begins another."""
    names = ["a", "a ", "a b", "ab", "abc", "b", "é", "\uffff", "😀"]
    await store.apply([like(name, "i", None, 5) for name in names] + [like("u", name, None, 5) for name in names])
    assert sorted(names, key=str.encode) == names
    for limit in range(1, len(names) + 1):
        assert [row.user_id for row in await all_likers(store, "i", limit)] == names
        assert [row.item_id for row in await all_likes(store, "u", limit)] == names
        assert [row.user_id for row in await all_likers(store, "i", limit, names[::-2])] == names[::2]
