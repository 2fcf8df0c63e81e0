"""A disk that is full, or that cannot sync: what was answered is kept, reads go on, and nothing is answered falsely."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from likewise import Likes
from likewise.errors import SetupError, StoreFailed
from likewise.model import Op
from likewise.store import open_store
from likewise.store.sqlite import SqliteStore
from likewise.store.sqlite.database import write_error
from tests.clocks import SetClock
from tests.ops import count_of, everything, like
from tests.sqlite.disks import Disk, plugged_in


@pytest.fixture
def disk() -> Iterator[Disk]:
    with plugged_in(lambda: Disk("faulty")) as disk:
        yield disk


@pytest.fixture
def store(disk: Disk, url: str, clock: SetClock, runner: asyncio.Runner) -> Iterator[SqliteStore]:
    store = runner.run(open_store(f"{url}?vfs={disk.name}", clock=clock))
    assert isinstance(store, SqliteStore)
    yield store
    disk.quota, disk.sync_fails = None, None
    runner.run(store.close())


def fill(disk: Disk, room: int = 0) -> None:
    disk.quota = sum(disk.sizes.values()) + room


async def likes_until_failure(store: SqliteStore) -> list[str]:
    answered: list[str] = []
    try:
        for n in range(10_000):
            await store.apply([like(f"u{n:04}", "i")])
            answered.append(f"u{n:04}")
    except StoreFailed:
        return answered
    raise AssertionError("the disk never became full")


async def test_on_a_full_disk_writes_fail_reads_go_on_and_nothing_answered_is_lost(
    store: SqliteStore, disk: Disk
) -> None:
    fill(disk, 100_000)
    answered = await likes_until_failure(store)
    assert answered
    assert [row.user_id for row in await everything(store)] == answered
    assert await count_of(store, "i") == len(answered)
    assert len((await store.likers_of("i", 5)).items) == 5
    await store.ready()
    with pytest.raises(StoreFailed) as caught:
        await store.apply([like(f"v{n}", f"j{n}") for n in range(500)])
    assert caught.value.retry_after_s > 0
    assert (await store.verify()).drifted == 0


async def test_when_there_is_room_again_a_full_disk_is_forgotten(store: SqliteStore, disk: Disk) -> None:
    fill(disk, 50_000)
    answered = await likes_until_failure(store)
    disk.quota = None
    (outcome,) = await store.apply([like("later", "i")])
    assert (outcome.count, outcome.offset) == (len(answered) + 1, len(answered) + 1)
    assert (await store.verify()).drifted == 0


async def test_a_full_disk_refuses_a_batch_as_a_whole(store: SqliteStore, disk: Disk) -> None:
    await store.apply([like("u", "i")])
    fill(disk, 20_000)
    with pytest.raises(StoreFailed):
        await store.apply([like(f"u{n}", f"i{n}") for n in range(1_000)])
    assert [row.item_id for row in await everything(store)] == ["i"]
    assert (await store.stats()).position.offset(0) == 1


async def test_on_a_full_disk_notes_and_expiry_fail_alike(store: SqliteStore, disk: Disk) -> None:
    fill(disk)
    with pytest.raises(StoreFailed):
        await store.remember("hot", b"x" * 10_000)
    assert await store.recall("hot") is None


async def test_likes_close_on_a_full_disk_and_nothing_is_lost(disk: Disk, url: str, clock: SetClock) -> None:
    likes = await Likes.open(f"{url}?vfs={disk.name}", clock=clock)
    await likes.like("u", "i")
    fill(disk)
    await likes.close()
    async with Likes.open(url) as likes:
        assert (await likes.count("i")).count == 1


async def test_a_new_store_on_a_full_disk_is_refused_in_words_that_help(disk: Disk, url: str) -> None:
    disk.quota = 0
    with pytest.raises(SetupError, match="disk is full"):
        await open_store(f"{url}?vfs={disk.name}")
    disk.quota = None
    await (await open_store(f"{url}?vfs={disk.name}")).close()


async def test_a_checkpoint_that_fails_loses_no_answer(
    disk: Disk, url: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.store.sqlite.WAL_MB", 0.1)
    store = await open_store(f"{url}?vfs={disk.name}", clock=clock)
    disk.sync_fails = "likes.db"
    for n in range(100):
        outcomes = await store.apply([like(f"u{n}-{k}", f"i{k}") for k in range(20)])
        assert all(outcome.changed for outcome in outcomes)
    disk.sync_fails = None
    assert (await store.stats()).likes == 2_000
    await store.close()
    store = await open_store(url)
    assert (await store.verify()).likes == 2_000
    await store.close()


async def test_a_sync_that_fails_fails_the_batch_and_the_store_writes_no_more(store: SqliteStore, disk: Disk) -> None:
    await store.apply([like("u", "before")])
    disk.sync_fails = "-wal"
    with pytest.raises(StoreFailed):
        await store.apply([like("u", "lost")])
    disk.sync_fails = None
    # The disk may have dropped what it could not write, and would call the next sync a success: no second try.
    synced = disk.syncs
    for _ in range(3):
        with pytest.raises(StoreFailed, match="restart"):
            await store.apply([like("u", "later")])
    with pytest.raises(StoreFailed):
        await store.remember("hot", b"")
    with pytest.raises(StoreFailed):
        await store.expire()
    with pytest.raises(StoreFailed):
        await store.ready()
    assert disk.syncs == synced
    assert [row.item_id for row in await everything(store)] == ["before"]
    assert await count_of(store, "lost") == 0


async def test_a_store_whose_sync_failed_works_again_once_reopened(
    store: SqliteStore, disk: Disk, url: str, clock: SetClock
) -> None:
    await store.apply([like("u", "before")])
    disk.sync_fails = "-wal"
    with pytest.raises(StoreFailed):
        await store.apply([like("u", "unknown")])
    disk.sync_fails = None
    await store.close()
    again = await open_store(url, clock=clock)
    await again.apply([like("u", "after")])
    kept = [row.item_id for row in await everything(again)]
    assert {"before", "after"} <= set(kept) <= {"before", "after", "unknown"}
    assert (await again.verify()).drifted == 0
    await again.close()


async def test_waiting_callers_are_all_told_when_a_sync_fails(disk: Disk, url: str, clock: SetClock) -> None:
    likes = await Likes.open(f"{url}?vfs={disk.name}", clock=clock)
    disk.sync_fails = ""
    results = await asyncio.gather(*(likes.like(f"u{n}", "i") for n in range(50)), return_exceptions=True)
    assert all(isinstance(result, StoreFailed) for result in results)
    assert (await likes.count("i")).count == 0
    disk.sync_fails = None
    await likes.close()


async def test_a_database_that_cannot_be_read_says_so_in_our_words(store: SqliteStore, file: Path) -> None:
    await store.apply([like(f"u{n}", f"i{n}") for n in range(500)])
    await store.close()
    again = await open_store(f"sqlite:{file}")
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)  # under its feet
    with pytest.raises(StoreFailed, match="could not be read"):
        await again.counts([f"i{n}" for n in range(500)])
    await again.close()


def test_every_error_of_the_driver_is_translated() -> None:
    for error in (apsw.FullError("x"), apsw.IOError("x"), apsw.BusyError("x"), apsw.CorruptError("x"), apsw.Error("x")):
        assert isinstance(write_error(error), StoreFailed)


async def test_writes_given_up_while_they_queue_leave_nothing_pending(folder: Path) -> None:
    """Else small batches would never be folded in the event loop's thread again."""
    store = await SqliteStore.open(folder / "likes.db")
    held = threading.Event()
    holding = asyncio.ensure_future(store._writer.run(held.wait))  # pyright: ignore[reportPrivateUsage]
    given_up = asyncio.ensure_future(store.remember("k", b"v"))
    await asyncio.sleep(0)
    given_up.cancel()
    held.set()
    await asyncio.gather(holding, given_up, return_exceptions=True)
    await store.apply([Op("u", "i", True)])
    assert store._writer._thread.idle  # pyright: ignore[reportPrivateUsage]
    await store.close()
