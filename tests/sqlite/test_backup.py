"""What is SQLite's own about copies: one moment however many steps it takes, its disk, and the WAL meanwhile."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from likewise.errors import Closed, StoreFailed
from likewise.store import open_store
from likewise.store.sqlite import SqliteStore, backup
from likewise.store.sqlite.database import connect, query, transaction
from tests.clocks import SetClock
from tests.ops import everything, like
from tests.sqlite.disks import Disk, plugged_in


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "STEP_PAGES", 1)


def between_steps(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
    """Do `work` after each step of every copy, in its thread."""
    back_up = backup.back_up

    def wrapped(connect: object, copy: Path, vfs: str | None, check: Callable[[], None]) -> None:
        def checked() -> None:
            work()
            check()

        back_up(connect, copy, vfs, checked)  # type: ignore[arg-type]

    monkeypatch.setattr("likewise.store.sqlite.back_up", wrapped)


@pytest.mark.usefixtures("small_steps")
async def test_commits_between_the_steps_are_not_in_the_copy_and_do_not_begin_it_anew(
    store: SqliteStore, folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.apply([like(f"u{n}", f"i{n}") for n in range(500)])
    loop, steps = asyncio.get_running_loop(), 0

    def commit() -> None:
        nonlocal steps
        steps += 1
        asyncio.run_coroutine_threadsafe(store.apply([like("later", f"{steps}")]), loop).result()

    between_steps(monkeypatch, commit)
    await store.backup(folder / "copy")
    assert 10 < steps < 200
    copy = await open_store(f"sqlite:{folder / 'copy'}", clock=clock)
    assert len(await everything(copy, 1_000)) == (await copy.stats()).likes == 500
    assert (await copy.verify()).drifted == 0
    await copy.close()
    assert (await store.stats()).likes == 500 + steps


@pytest.mark.usefixtures("small_steps")
async def test_closing_the_store_ends_its_copies(
    store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.apply([like(f"u{n}", f"i{n}") for n in range(500)])
    loop, steps = asyncio.get_running_loop(), 0

    def close() -> None:
        nonlocal steps
        steps += 1
        asyncio.run_coroutine_threadsafe(store.close(), loop).result()

    between_steps(monkeypatch, close)
    with pytest.raises(Closed):
        await store.backup(folder / "copy")
    assert steps == 1
    assert sorted(path.name for path in folder.iterdir()) == ["likes.db", "likes.db-lock"]


async def test_a_disk_that_cannot_sync_leaves_no_copy(
    store: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError("the disk cannot sync")

    monkeypatch.setattr(backup, "sync", fail)
    with pytest.raises(StoreFailed, match="cannot sync"):
        await store.backup(folder / "copy")
    assert not (folder / "copy").exists()


async def test_a_full_disk_leaves_no_copy_and_harms_nothing(url: str, folder: Path, clock: SetClock) -> None:
    with plugged_in(lambda: Disk("for-copies")) as disk:
        store = await open_store(f"{url}?vfs={disk.name}", clock=clock)
        await store.apply([like(f"u{n}", f"i{n}") for n in range(500)])
        disk.quota = sum(disk.sizes.values()) + 20_000
        with pytest.raises(StoreFailed, match="the disk is full"):
            await store.backup(folder / "copy")
        assert not [path for path in folder.iterdir() if path.name.startswith("copy")]
        disk.quota = None
        await store.apply([like("u", "later")])
        assert (await store.verify()).likes == 501
        await store.backup(folder / "copy")
        await store.close()


async def test_the_file_of_the_wal_shrinks_again_after_a_long_read(
    url: str, file: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.store.sqlite.WAL_MB", 0.1)
    monkeypatch.setattr("likewise.store.sqlite.database.WAL_FILE_MB_MAX", 1)
    store = await open_store(url, clock=clock)
    wal, n = file.with_name("likes.db-wal"), 0

    async def write() -> None:
        nonlocal n
        n += 1
        await store.apply([like(f"u{n}-{k}", f"i{k}") for k in range(100)])

    reader = connect(file, 1)
    with transaction(reader, "deferred"):
        query(reader, "select 1 from notes")
        while wal.stat().st_size < 4 * 2**20:
            await write()
    reader.close()
    while wal.stat().st_size > 2**20:
        await write()
        assert n < 5_000
    await store.close()
