"""Copies by checkpoint: one at a time, given up cleanly, also onto another file system, and `close` waits for them."""

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest

from likewise.errors import Closed, StoreFailed
from likewise.store.rocksdb import RocksStore
from tests.ops import like


async def likes_in(copy: Path) -> int:
    store = await RocksStore.open(copy)
    likes = (await store.verify()).likes
    await store.close()
    return likes


def leavings(store: Path) -> list[str]:
    return [path.name for path in store.iterdir() if path.is_dir()]


async def test_copies_asked_for_at_once_are_all_whole(store: RocksStore, folder: Path) -> None:
    await store.apply([like(f"u{n}", "i") for n in range(100)])
    await asyncio.gather(*(store.backup(folder / f"copy{n}") for n in range(5)))
    assert [await likes_in(folder / f"copy{n}") for n in range(5)] == [100] * 5


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_a_copy_given_up_leaves_nothing(store: RocksStore, folder: Path, steps: int) -> None:
    await store.apply([like("u", "i")])
    copying = asyncio.ensure_future(store.backup(folder / "copy"))
    for _ in range(steps):
        await asyncio.sleep(0)
    copying.cancel()
    await asyncio.sleep(0)
    copying.cancel()  # who gives up twice must not disturb the tidying up
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert not (folder / "copy").exists()
    assert leavings(folder / "likes") == []


async def test_onto_another_file_system(store: RocksStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.apply([like(f"u{n}", "i") for n in range(100)])

    def other_file_system(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "rename", other_file_system)
    await store.backup(folder / "copy")
    assert leavings(folder / "likes") == []

    def no_room(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", no_room)
    with pytest.raises(StoreFailed, match="No space left"):
        await store.backup(folder / "second")
    assert not (folder / "second").exists()
    assert leavings(folder / "likes") == []
    monkeypatch.undo()
    assert await likes_in(folder / "copy") == 100


async def test_what_takes_long_ends_before_the_store_is_closed(store: RocksStore, folder: Path) -> None:
    await store.apply([like(f"u{n}", f"i{n % 9}") for n in range(1_000)])
    verifying = asyncio.ensure_future(store.verify())
    copying = asyncio.ensure_future(store.backup(folder / "copy"))
    await asyncio.sleep(0)
    await store.close()
    assert verifying.done()
    assert copying.done()
    ended = await asyncio.gather(verifying, copying, return_exceptions=True)
    assert all(isinstance(error, Closed) for error in ended)
    assert await likes_in(folder / "likes") == 1_000  # although the errors are still held here
