"""Copies of a store in use: each is the store as it stood between two commits, and a store of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from likewise import Likes
from likewise.errors import InvalidInput, StoreFailed
from likewise.model import Position
from likewise.store import open_store
from likewise.store.contract import Store
from tests.clocks import SetClock
from tests.ops import all_changes, all_likers, all_likes, everything, like, state_after, unlike

Opener = Callable[[], object]
"""Tests that take `reopened` run on the durable tiers; the others of this file say so otherwise."""


@asynccontextmanager
async def copy_of(store: Store, place: Path, clock: SetClock) -> AsyncIterator[Store]:
    """A copy, opened."""
    await store.backup(place)
    copy = await open_store(f"{store.scheme}:{quote(str(place))}", clock=clock)
    try:
        yield copy
    finally:
        await copy.close()


async def check(copy: Store) -> int:
    """A copy agrees with itself: counts, lists, changes. Returns the newest change's offset."""
    assert (await copy.verify()).drifted == 0
    likes = await everything(copy, 500)
    assert (await copy.stats()).likes == len(likes)
    changes = await all_changes(copy, None, 500)
    state = {(row.user_id, row.item_id): (row.liked_at, row.item_type) for row in likes}
    assert state_after(changes) == state
    for item_id in {row.item_id for row in likes}:
        (count,) = await copy.counts([item_id])
        assert count.count == len(await all_likers(copy, item_id, 500))
    position = (await copy.stats()).position
    assert position == (changes[-1].position if changes else Position(position.epoch, ((0, 0),)))
    return position.offset(0)


async def test_a_copy_has_everything(store: Store, reopened: Opener, folder: Path, clock: SetClock) -> None:
    await store.apply([like(f"u{n % 9}", f"i{n % 31}", "post" if n % 2 else None) for n in range(200)])
    await store.apply([unlike(f"u{n % 9}", f"i{n % 31}") for n in range(0, 200, 3)])
    await store.remember("hot", b"note")
    async with copy_of(store, folder / "copy", clock) as copy:
        await check(copy)
        assert await everything(copy) == await everything(store)
        assert await all_changes(copy) == await all_changes(store)
        assert await copy.recall("hot") == b"note"
        # Each goes its own way.
        await copy.apply([like("only", "there")])
        await store.apply([like("only", "here")])
        assert [row.item_id for row in await all_likes(store, "only")] == ["here"]
        assert [row.item_id for row in await all_likes(copy, "only")] == ["there"]


async def test_an_empty_store_has_a_copy(store: Store, reopened: Opener, folder: Path, clock: SetClock) -> None:
    async with copy_of(store, folder / "copy", clock) as copy:
        assert await check(copy) == 0


async def test_a_copy_made_under_load_is_a_state_between_two_commits(
    store: Store, reopened: Opener, folder: Path, clock: SetClock
) -> None:
    """Every commit makes five changes, so a copy in the middle of one would have a number of them that five does not
    divide; and what was answered before the copy began is in it."""
    await store.apply([like(f"u{n}", f"i{n % 50}") for n in range(5_000)])
    commits, ended, committed = 1_000, False, asyncio.Event()

    async def write() -> None:
        nonlocal commits
        while not ended:
            user = f"v{commits}"
            toggled = [unlike(user, "i3"), like(user, "i3")]
            await store.apply([like(user, f"i{k}") for k in (1, 2, 3)] + toggled)
            commits += 1
            committed.set()

    writing = asyncio.ensure_future(write())
    for n in range(4):
        committed.clear()
        await committed.wait()
        begun = commits
        async with copy_of(store, folder / f"copy{n}", clock) as copy:
            offset = await check(copy)
            assert offset % 5 == 0
            assert begun * 5 <= offset <= (commits + 1) * 5
    ended = True
    await writing
    assert await check(store) == commits * 5


async def test_copies_made_at_once_are_each_of_a_moment_after_they_were_asked_for(
    store: Store, reopened: Opener, folder: Path, clock: SetClock
) -> None:
    await store.apply([like(f"u{n}", f"i{n % 50}") for n in range(1_000)])
    commits, ended, committed = 0, False, asyncio.Event()

    async def write() -> None:
        nonlocal commits
        while not ended:
            await store.apply([like(f"v{commits}", "i1")])
            commits += 1
            committed.set()

    async def back_up(place: Path) -> int:
        begun = commits
        await store.backup(place)
        return begun

    writing = asyncio.ensure_future(write())
    making: list[asyncio.Future[int]] = []
    for n in range(6):
        committed.clear()
        await committed.wait()
        making.append(asyncio.ensure_future(back_up(folder / f"copy{n}")))
    asked_for = await asyncio.gather(*making)
    ended = True
    await writing
    assert asked_for == sorted(asked_for)
    for n, begun in enumerate(asked_for):
        copy = await open_store(f"{store.scheme}:{quote(str(folder / f'copy{n}'))}", clock=clock)
        assert 1_000 + begun <= await check(copy) <= 1_000 + commits
        await copy.close()


async def test_a_copy_is_not_written_over_anything(store: Store, reopened: Opener, folder: Path) -> None:
    (folder / "taken").write_text("precious")
    with pytest.raises(StoreFailed, match="exists already"):
        await store.backup(folder / "taken")
    assert (folder / "taken").read_text() == "precious"


async def test_what_cannot_be_copied_leaves_nothing(store: Store, reopened: Opener, folder: Path) -> None:
    await store.apply([like("u", "i")])
    (folder / "file").touch()
    with pytest.raises(StoreFailed):
        await store.backup(folder / "file" / "copy")
    backing_up = asyncio.ensure_future(store.backup(folder / "copy"))
    await asyncio.sleep(0)
    backing_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await backing_up
    assert not (folder / "copy").exists()
    await store.apply([like("u", "j")])
    await store.backup(folder / "copy")


async def test_positions_given_after_the_copy_was_made_are_not_the_copys(
    store: Store, reopened: Opener, folder: Path, clock: SetClock
) -> None:
    await store.apply([like("u", "before")])
    async with copy_of(store, folder / "copy", clock) as copy:
        (elsewhere,) = await store.apply([like("u", "here")])
        await copy.begin_epoch()
        (own,) = await copy.apply([like("u", "there")])
        assert elsewhere.offset == own.offset
        assert elsewhere.position
        assert own.position
        with pytest.raises(InvalidInput, match="another store"):
            await copy.reach(elsewhere.position)
        with pytest.raises(InvalidInput, match="another store"):
            await copy.changes(elsewhere.position, 10)
        with pytest.raises(InvalidInput, match="another store"):
            await store.reach(own.position)
        await copy.reach(own.position)
        assert [change.item_id for change in await all_changes(copy)] == ["before", "there"]
        assert (await copy.stats()).position == own.position


async def test_an_epoch_begun_outlives_a_restart(store: Store, reopened: Callable[[], object]) -> None:
    (old,) = await store.apply([like("u", "i")])
    await store.begin_epoch()
    (first,) = await store.apply([like("u", "j")])
    await store.begin_epoch()  # at the same moment, by the clock
    store = await reopened()  # type: ignore[misc]
    (second,) = await store.apply([like("u", "k")])
    assert old.epoch < first.epoch < second.epoch
    assert [outcome.offset for outcome in (old, first, second)] == [1, 2, 3]


async def test_a_store_in_memory_has_nothing_to_copy(tmp_path: Path) -> None:
    async with Likes.open("memory:") as likes:
        with pytest.raises(InvalidInput, match="keeps nothing"):
            await likes.store.backup(tmp_path / "copy")
        (old,) = await likes.store.apply([like("u", "i")])
        await likes.store.begin_epoch()
        assert old.position
        with pytest.raises(InvalidInput, match="another store"):
            await likes.store.reach(old.position)
