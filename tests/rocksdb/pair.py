"""A store that is written, and one that reads along in it, over a real link; both in this process."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from likewise.store.contract import Store
from likewise.store.link import Link, answer
from likewise.store.rocksdb import RocksStore, Settings
from likewise.store.rocksdb.reader import RocksReader
from likewise.times import Clock


@asynccontextmanager
async def pair(
    folder: Path, clock: Clock, monotonic: Callable[[], float] = time.monotonic, settings: Settings | None = None
) -> AsyncIterator[tuple[RocksStore, RocksReader]]:
    settings = settings or Settings(memory_mb=16)
    writer = await RocksStore.open(folder / "likes", settings, clock=clock)
    here, there = socket.socketpair()
    methods = {
        method: getattr(writer, method.__name__)
        for method in (
            Store.apply,
            Store.reach,
            Store.changes,
            Store.stats,
            Store.ready,
            Store.expire,
            Store.backup,
            Store.remember,
        )
    }
    answering = asyncio.ensure_future(answer(there, methods))
    link = await Link.over(here)
    reader = await RocksReader.open(folder / "likes", settings, link, clock=clock, monotonic=monotonic)
    try:
        yield writer, reader
    finally:
        await reader.close()
        await link.close()
        await answering
        await writer.close()
