"""A disk that is full, or that cannot sync: what was answered is kept, reads go on, and nothing is answered falsely."""

import asyncio
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from likewise import Likes
from likewise.errors import SetupError, StoreFailed
from likewise.store import open_store
from likewise.store.rocksdb import RocksStore
from likewise.store.rocksdb.database import Database, SyncFailed, write_failure
from tests.clocks import DAY, SetClock
from tests.ops import all_changes, count_of, everything, like, state_after, unlike
from tests.rocksdb.faults import SmallDisk, small_disk, system_calls

RECOVERS_S = 30
"""RocksDB looks every 5 seconds whether there is room again."""

FAILING = ("-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO")


@pytest.fixture
def disk(folder: Path) -> Iterator[SmallDisk]:
    with small_disk(folder / "disk", 12) as disk:
        yield disk


@pytest.fixture
def full_url(disk: SmallDisk) -> str:
    return f"rocksdb:{disk.path}/likes?memory_mb=16"


async def likes_until_failure(store: RocksStore, prefix: str = "u") -> list[str]:
    answered: list[str] = []
    try:
        for n in range(10_000):
            users = [f"{prefix}{n:04}-{k:02}" for k in range(20)]
            await store.apply([like(user, "i" * 100) for user in users])
            answered += users
    except StoreFailed as error:
        assert re.search("the disk is full; nothing of this was stored. Free some space", str(error))  # noqa: PT017
        return answered
    raise AssertionError("the disk never became full")


async def check(store: RocksStore, answered: list[str]) -> None:
    """These and nobody else like the item, in every view."""
    assert [row.user_id for row in await everything(store, 1_000)] == answered
    assert await count_of(store, "i" * 100) == len(answered)
    assert (await store.stats()).likes == len(answered)
    assert len(state_after(await all_changes(store, None, 1_000))) == len(answered)
    assert (await store.verify()).drifted == 0


@pytest.mark.parametrize(
    "room",
    [pytest.param(200_000, id="in the log"), pytest.param(3_500_000, id="in a flush", marks=pytest.mark.slow)],
)
async def test_on_a_full_disk_writes_fail_reads_go_on_and_nothing_answered_is_lost(
    disk: SmallDisk, full_url: str, folder: Path, room: int
) -> None:
    store = await open_store(full_url, clock=SetClock())
    assert isinstance(store, RocksStore)
    disk.fill(room)
    answered = await likes_until_failure(store)
    assert answered
    await check(store, answered)
    assert len((await store.likers_of("i" * 100, 5)).items) == 5
    for _ in range(3):
        with pytest.raises(StoreFailed) as caught:
            await store.apply([like("v", "j")])
        assert caught.value.retry_after_s > 0
    with pytest.raises(StoreFailed):
        await store.remember("hot", b"x")
    await check(store, answered)
    shutil.copytree(disk.path / "likes", folder / "died")  # what another process finds if this one dies now
    await store.close()
    disk.free()
    for url in (full_url, f"rocksdb:{folder}/died"):
        again = await open_store(url)
        assert isinstance(again, RocksStore)
        await check(again, answered)
        await again.apply([like("v", "j")])
        await again.close()


@pytest.mark.slow
async def test_when_there_is_room_again_writes_go_on_by_themselves(disk: SmallDisk, full_url: str) -> None:
    store = await open_store(full_url, clock=SetClock())
    assert isinstance(store, RocksStore)
    disk.fill(200_000)
    answered = await likes_until_failure(store)
    disk.free()
    give_up = time.monotonic() + RECOVERS_S
    while True:
        try:
            (outcome,) = await store.apply([like("v", "i" * 100)])
            break
        except StoreFailed:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.1)  # RocksDB tells nobody when it has recovered
    assert (outcome.count, outcome.offset) == (len(answered) + 1, len(answered) + 1)
    await check(store, [*answered, "v"])
    await store.close()
    again = await open_store(full_url)
    assert isinstance(again, RocksStore)
    await check(again, [*answered, "v"])
    await again.close()


async def test_likes_close_on_a_full_disk_and_nothing_is_lost(disk: SmallDisk, full_url: str, clock: SetClock) -> None:
    likes = await Likes.open(full_url, clock=clock)
    await likes.like("u", "i")
    disk.fill(0)
    await likes.close()
    disk.free()
    async with Likes.open(full_url) as likes:
        assert (await likes.count("i")).count == 1


async def test_a_new_store_on_a_full_disk_is_refused_in_words_that_help(disk: SmallDisk, full_url: str) -> None:
    disk.fill(0)
    for _ in range(2):
        with pytest.raises(SetupError, match=r"the disk is full. Free some space"):
            await open_store(full_url)
    disk.free()
    await (await open_store(full_url)).close()


async def test_a_sync_that_fails_fails_the_batch_and_the_store_writes_no_more(
    store: RocksStore, url: str, clock: SetClock
) -> None:
    await store.apply([like("u", "before")])
    with system_calls(*FAILING) as calls:
        with pytest.raises(StoreFailed, match="whether this was stored shows after a restart"):
            await store.apply([like("u", "unknown"), unlike("u", "before")])
        # A second sync would be called a success although the disk dropped what it could not write: no second try.
        for ops in ([like("u", "later")], [like("u", "before")], [like(f"u{n}", "later") for n in range(300)]):
            with pytest.raises(StoreFailed, match="restart"):
                await store.apply(ops)
    assert sum("(INJECTED)" in call for call in calls) == 1, calls
    with system_calls("-e", "trace=fdatasync,fsync,write,pwrite64") as calls:
        for call in (store.apply([like("u", "later")]), store.remember("hot", b""), store.expire(), store.ready()):
            with pytest.raises(StoreFailed, match="restart"):
                await call
    assert [call for call in calls if ".log" in call] == []
    # Reads go on, and show what is durable for sure.
    assert [row.item_id for row in await everything(store)] == ["before"]
    assert await count_of(store, "unknown") == 0
    assert len(await all_changes(store)) == 1
    assert (await store.stats()).position.offset(0) == 1
    with pytest.raises(StoreFailed, match="restart"):
        await store.verify()
    await store.close()
    again = await open_store(url, clock=clock)
    await again.apply([like("u", "after")])
    kept = {row.item_id for row in await everything(again)}
    assert kept in ({"before", "after"}, {"unknown", "after"})
    assert (await again.verify()).drifted == 0
    await again.close()


async def test_a_new_store_whose_sync_fails_is_refused_and_not_kept_locked(url: str) -> None:
    with system_calls(*FAILING), pytest.raises(SetupError, match="whether the disk is well"):
        await open_store(url)
    await (await open_store(url)).close()


async def test_waiting_callers_are_all_told_when_a_sync_fails(url: str, clock: SetClock) -> None:
    likes = await Likes.open(url, clock=clock)
    with system_calls(*FAILING):
        results = await asyncio.gather(*(likes.like(f"u{n}", "i") for n in range(50)), return_exceptions=True)
    assert all(isinstance(result, StoreFailed) for result in results)
    assert (await likes.count("i")).count == 0
    await likes.close()
    await (await open_store(url)).close()


def answers_without_sync(calls: list[str]) -> list[str]:
    """The lines of a trace at which something was answered while the log held more than was synced."""
    wrong: list[str] = []
    unsynced: set[str] = set()
    unfinished: dict[str, str] = {}
    for line in calls:
        thread = line.split("]")[0]
        if "unfinished ..." in line:
            unfinished[thread] = line
            continue
        if "resumed>" in line:
            line = unfinished.pop(thread, "") + line
        log = re.search(r"\d<([^>]*\.log)>", line)
        if log and "write" in line:
            unsynced.add(log[1])
        elif log and "sync" in line and line.rstrip().endswith("= 0"):
            unsynced.discard(log[1])
        elif "answered" in line and unsynced:
            wrong.append(line)
    return wrong


async def trace_of_answers(store: RocksStore, path: Path) -> list[str]:
    with open(path.with_name("answers"), "wb", buffering=0) as answers:
        traced = "trace=write,pwrite64,writev,pwritev,fdatasync,fsync"
        with system_calls("-e", traced, "-s", "32") as calls:
            for n in range(5):
                await store.apply([like(f"u{n}", "i")])
                answers.write(b"answered")
            await store.apply([like(f"v{n}", "i") for n in range(2_000)])  # folded in the thread, and of several blocks
            answers.write(b"answered")
            await store.remember("hot", b"note")
            answers.write(b"answered")
    assert sum("answered" in call for call in calls) == 7
    assert sum(".log>" in call and "write" in call for call in calls) >= 7
    return calls


async def test_every_answer_comes_after_the_log_was_synced(store: RocksStore, path: Path) -> None:
    assert answers_without_sync(await trace_of_answers(store, path)) == []


async def test_the_check_finds_a_store_that_does_not_sync(
    store: RocksStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "sync", lambda self: self.points.flush_wal(False))
    assert len(answers_without_sync(await trace_of_answers(store, path))) == 7


async def test_the_check_finds_a_store_that_syncs_after_its_answer(
    store: RocksStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Database.write

    def late(database: Database, batch: object) -> None:
        database.points.flush_wal(True)
        write(database, batch)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Database, "write", late)
    monkeypatch.setattr(Database, "sync", lambda self: None)
    assert len(answers_without_sync(await trace_of_answers(store, path))) == 7


class Held:
    """Syncs that wait until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        sync = Database.sync

        def held(database: Database) -> None:
            self.begun.set()
            self.go.wait()
            sync(database)

        monkeypatch.setattr(Database, "sync", held)

    async def wait(self) -> None:
        """Until something is written, and not yet synced."""
        await asyncio.to_thread(self.begun.wait)


async def all_of(store: RocksStore) -> list[object]:
    """What every read says."""
    return [
        await store.counts(["i", "j"]),
        await store.liked([("u", "i"), ("v", "i"), ("u", "j")]),
        (await store.likes_of("u", 5)).items,
        (await store.likers_of("i", 5)).items,
        (await store.likers_of("i", 5, None, ["u", "v"])).items,
        await store.summaries(["i", "j"], "u", ["v"], 3),
        await store.changes(None, 10),
        await store.scan(None, 10),
        await store.recall("hot"),
        (await store.stats()).position,
        (await store.stats()).likes,
    ]


@pytest.mark.parametrize("others", [0, 400], ids=["folded in the event loop", "folded in the thread"])
async def test_nothing_is_read_before_it_is_synced(
    store: RocksStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Reads in the middle of a commit see nothing of it, and after it all of it."""
    (outcome,) = await store.apply([like("u", "i")])
    before = await all_of(store)
    held = Held(monkeypatch)
    ops = [unlike("u", "i"), like("v", "i"), like("u", "j"), *(like(f"x{n}", f"y{n}") for n in range(others))]
    applying = asyncio.ensure_future(store.apply(ops))
    await held.wait()
    for _ in range(3):
        assert await all_of(store) == before
    await store.ready()
    assert outcome.position is not None
    assert not applying.done()
    held.go.set()
    outcomes = await applying
    after = await all_of(store)
    assert after != before
    assert await store.liked([("u", "i"), ("v", "i"), ("u", "j")]) == [None, *(o.liked_at for o in outcomes[1:3])]
    assert [count.count for count in await store.counts(["i", "j"])] == [1, 1]


async def test_a_sync_held_back_keeps_notes_and_expiry_back_as_well(
    store: RocksStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.apply([like("u", f"i{n}") for n in range(3)])
    clock.step(30 * DAY)
    before = await all_of(store)
    held = Held(monkeypatch)
    remembering, expiring = asyncio.ensure_future(store.remember("hot", b"note")), asyncio.ensure_future(store.expire())
    await held.wait()
    assert await all_of(store) == before
    held.go.set()
    await asyncio.gather(remembering, expiring)
    assert await store.recall("hot") == b"note"
    assert (await store.stats()).oldest_change == 3


async def test_a_failed_sync_shows_nothing_of_its_batch(store: RocksStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.apply([like("u", "i")])
    before = await all_of(store)
    monkeypatch.setattr(Database, "sync", Mock(side_effect=SyncFailed("the test's disk cannot sync")))
    with pytest.raises(StoreFailed):
        await store.apply([like("v", "i"), unlike("u", "i")])
    monkeypatch.undo()
    with pytest.raises(StoreFailed, match="restart"):
        await store.apply([like("w", "i")])
    assert await all_of(store) == before


async def test_a_store_whose_writes_failed_can_be_opened_anew_while_its_errors_are_held(
    store: RocksStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[StoreFailed] = []
    for method, error in (("write", Exception("IO error: No space left on device")), ("sync", SyncFailed("IO error"))):
        monkeypatch.setattr(Database, method, Mock(side_effect=error))
        for size in (1, 300):
            with pytest.raises(StoreFailed) as caught:
                await store.apply([like(f"u{k}", "i") for k in range(size)])
            errors.append(caught.value)
        monkeypatch.undo()
    await store.close()
    await (await open_store(url)).close()
    assert len(errors) == 4


def test_every_error_of_the_driver_is_translated() -> None:
    for text in (
        "IO error: No space left on device",
        "IO error: x",
        "Corruption: x",
        "Busy: x",
        "Shutdown in progress",
    ):
        failure = write_failure(Exception(text))
        assert failure is not None
        assert failure.broken is None
    assert write_failure(SyncFailed("x")).broken  # pyright: ignore[reportOptionalMemberAccess]
    assert write_failure(ValueError("a mistake of ours")) is None


async def test_writes_given_up_while_they_queue_leave_nothing_pending(store: RocksStore) -> None:
    """Else small batches would never be folded in the event loop's thread again."""
    held = threading.Event()
    holding = asyncio.ensure_future(store._writer.here(held.wait))
    given_up = asyncio.ensure_future(store.remember("k", b"v"))
    await asyncio.sleep(0)
    given_up.cancel()
    held.set()
    await asyncio.gather(holding, given_up, return_exceptions=True)
    await store.apply([like("u", "i")])
    assert store._writer._thread.idle
