"""The `rocksdb:` tier: likes in one directory, in this process. For one machine that has to carry a lot.

Writes go through one thread (`writer.py`) in whole batches. Reads (`reads.py`) run right in the event loop's thread, on
a view of what is durable (`view.py`). `keys.py` says what is stored under which keys.
"""

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TypeVar

from ...model import Changes, Op, Outcome, Position, Report, Stats
from ...times import DAY, Clock, Ticker, wall_clock
from ..contract import OneShard
from ..owner import Owner
from ..waiting import interruptible, see_out
from . import backup, keys
from .database import Settings, recovered, setup_errors
from .folder import LOCK, bytes_in, mark, own_folder
from .reads import Reads
from .values import Tip, changes_of, epoch_of, epoch_to_bytes
from .verify import verify
from .view import EPOCH, TIP, View
from .writer import Draft, Writer

__all__ = ["RocksStore", "Settings"]

R = TypeVar("R")

TRIM_CHANGES_MAX = 5_000


class RocksStore(Reads):
    """One RocksDB directory. Open it with `RocksStore.open`."""

    def __init__(self, folder: Path, settings: Settings, clock: Clock) -> None:
        """Blocks while it opens (and recovers) the directory; raises SetupError. Use `open` in an event loop."""
        self._path = path = own_folder(folder)
        self._clock = clock
        self._settings = settings
        self._owner = Owner(path, path / LOCK)
        try:
            with setup_errors(path):
                backup.clear(path)
                mark(path)
                self._database = recovered(path, settings)
                try:
                    epoch, tip = self._where_it_ended()
                except BaseException:
                    self._database.close()
                    raise
        except BaseException:
            self._owner.release()
            raise
        self._shard = OneShard(epoch)
        self._writer = Writer(self._database, Ticker(clock, tip.last_at), self._shard, tip)
        self._backing_up = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closed = False

    @classmethod
    async def open(cls, folder: Path, settings: Settings | None = None, *, clock: Clock = wall_clock) -> "RocksStore":
        """Open or make the directory. Raises SetupError (StoreInUse, NotAStore, …)."""
        return await asyncio.to_thread(cls, folder, settings or Settings(), clock)

    def announce(self, url: str) -> None:
        self._owner.announce(url)

    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        return await self._writer.apply(ops)

    def look(self) -> View:
        return self._writer.view

    async def changes(self, after: Position | None, limit: int) -> Changes:
        return self._writer.view.changes(self._shard, after, limit)

    async def reach(self, position: Position) -> None:
        self._shard.offset_of(position, self._writer.view.tip().offset)

    async def stats(self) -> Stats:
        tip = self._writer.view.tip()
        return Stats(tip.likes, self._shard.position(tip.offset), tip.first or None, bytes_in(self._path))

    async def ready(self) -> None:
        self._writer.view.tip()
        self._writer.check()

    async def expire(self) -> int:
        before = self._clock() - int(self._settings.changes_kept_days * DAY)
        return await self._writer.run(partial(self._trim, before))

    def _trim(self, before: int, draft: Draft) -> int:
        """Drop changes older than `before`, whole commits by one range, never the newest: the next continues it."""
        tip, dropped = draft.tip, 0
        for _, value in self._writer.look().lists(keys.changes(tip.first), keys.CHANGES):
            changes = changes_of(value)
            old = takewhile(lambda change: change.at < before and change.offset < tip.offset, changes)
            n = sum(1 for _ in islice(old, TRIM_CHANGES_MAX - dropped))
            dropped += n
            if 0 < n < len(changes):
                draft.put_changes(changes[n:])
            if n < len(changes):
                break
        if dropped:
            draft.delete_changes(tip.first, tip.first + dropped - 1)
            draft.tip = tip._replace(first=tip.first + dropped)
        return dropped

    async def backup(self, copy: Path, /) -> None:
        self._writer.check()

        async def in_turn(check: Callable[[], None]) -> None:
            async with self._backing_up:
                check()
                await backup.back_up(self._database, self._writer, self._path, copy, check)

        await interruptible(
            lambda check: self._long(in_turn(check)),
            self._writer.check,
            lambda: shutil.rmtree(copy, ignore_errors=True),
        )

    async def begin_epoch(self) -> None:
        epoch = self._shard.next_epoch(self._clock)
        await self._writer.run(lambda draft: draft.batch.put(EPOCH, epoch_to_bytes(epoch)))
        self._shard = self._writer.shard = OneShard(epoch)

    async def verify(self, repair: bool = False) -> Report:
        return await asyncio.shield(self._long(verify(self._writer, repair)))

    async def remember(self, key: str, value: bytes) -> None:
        await self._writer.run(lambda draft: draft.batch.put(keys.kept(key), value))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.refuse()  # so that what takes long ends soon
            await see_out(self._under_way)
        finally:
            try:
                await self._writer.close()
            finally:
                self._owner.release()

    def _long(self, work: Coroutine[Any, Any, R]) -> "asyncio.Task[R]":
        """Do what takes long in a task of its own, for which `close` waits, whoever gives up waiting before."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def _where_it_ended(self) -> tuple[int, Tip]:
        """The directory's epoch, which begins now if it is new, and its tip."""
        epoch, tip = self._database.get_many([EPOCH, TIP])
        if epoch is None:
            epoch = epoch_to_bytes(self._clock())
            self._database.points.put(EPOCH, epoch)
            self._database.sync()
        return epoch_of(epoch), Tip.of(tip) if tip else Tip()
