"""Reading along: a process beside the one that writes has the likes as they were a moment ago.

RocksDB's secondaries follow the primary's files: each catch-up reads the WAL that was written since. What is read
between two of them is of one moment. Whatever is not a read of likes goes to the process that writes, over a link.

A secondary sees a commit when it is written, some milliseconds before it is fsynced and answered. Therefore `changes`
and `stats`, whose positions people build upon, come from the process that writes, too.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, TypeVarTuple

from ...errors import Closed, StoreFailed, Unavailable
from ...fold import pairs_of, refused
from ...model import Changes, Count, Op, Outcome, Position, Report, Stats
from ...times import Clock, wall_clock
from ..contract import News, OneShard, Store
from ..link import Link
from .database import Database, Settings, setup_errors
from .reads import Reads
from .values import Tip
from .view import View

R = TypeVar("R")
Arguments = TypeVarTuple("Arguments")

FRESH_S = 0.02
"""A read sees everything that was committed this long ago."""

IDLE_S = 0.05
"""How often a process catches up that nobody asks: its next read is not to wait for an hour's WAL, and likes are to be
counted for `trending` when they are made."""

TOLD_MAX = 50_000
"""Further behind than this many changes (it was stopped, or starved), what is in memory is given up instead; only the
last so many are looked through."""

LOOKS_MAX = 3
"""So many views that are not whole are enough for one look: the last of them serves until the next look."""

READY_S = 1.0
"""How long the process that writes may take to say that it is ready."""


class RocksReader(Reads):
    """A directory that another process writes. Open it with `RocksReader.open`."""

    def __init__(
        self, folder: Path, settings: Settings, link: Link, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        """Blocks while it opens; raises SetupError. Use `open` in an event loop."""
        self._link = link
        self._clock = clock
        self._monotonic = monotonic
        self._changed: Callable[[News | None], None] = lambda _: None
        self._view: View | None = None  # None: read anew before anything else
        self._tip, self._looked_at, self._as_of = Tip(), 0.0, 0
        self._closed = False
        with setup_errors(folder), TemporaryDirectory(prefix="likewise-") as logs:  # which RocksDB goes on writing to
            self._database = Database(folder, settings, logs)
            view = self._catch_up()
            self._shard = OneShard(view.epoch() or 0)
        self._keeping_up: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        folder: Path,
        settings: Settings,
        link: Link,
        *,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> "RocksReader":
        """Read along in a directory that the process at the other end of `link` has open. Raises SetupError."""
        reader = await asyncio.to_thread(cls, folder, settings, link, clock, monotonic)
        reader._keeping_up = asyncio.ensure_future(reader._keep_up())
        return reader

    # Reading along

    def look(self) -> View:
        if self._closed:
            raise Closed("the store is closed")
        if self._view is None or self._monotonic() - self._looked_at >= FRESH_S:
            return self._catch_up()
        return self._view

    def refresh(self, *, now: bool = False) -> int:
        if now:
            self._view = None
        self.look()
        return self._as_of

    def tell(self, changed: Callable[[News | None], None]) -> bool:
        self._changed = changed
        return True

    async def counts(self, item_ids: Sequence[str]) -> list[Count]:
        view = self.look()
        return [Count(item_id, *view.tally(item_id), as_of=self._as_of) for item_id in item_ids]

    async def reach(self, position: Position) -> None:
        self.look()
        if not self._has(position):
            self._catch_up()
        if not self._has(position):
            await self._there(Store.reach, position)  # if it was given, then what it is of is in a file, see `stir`
            await self._there(Store.remember, "stir", b"")
            self._catch_up()
            if not self._has(position):
                raise Unavailable("this process does not see that position yet; ask again in a moment")
        self._shard.offset_of(position, self._tip.offset)

    def _has(self, position: Position) -> bool:
        return position.offset(self._shard.shard) <= self._tip.offset

    def _catch_up(self) -> View:
        """Look anew, and tell what has changed since the last look."""
        self._view, looks = None, 0
        while True:
            looks += 1
            looked_at, as_of = self._monotonic(), self._clock()
            self._database.catch_up()
            view = View(self._database.points, self._database.lists, secondary=True)
            tip = view.tip()
            whole, news = self._compare(view, tip)
            if whole or looks == LOOKS_MAX:
                break
        self._view, self._looked_at = view, looked_at
        if whole:  # else the next look compares with the same tip, so that nothing stays wrong or untold
            self._tip, self._as_of = tip, as_of
        self._changed(news)
        return view

    def _compare(self, view: View, tip: Tip) -> tuple[bool, News | None]:
        """Whether the view is whole, and what has changed since the last one that was; no news if the view is not
        whole, or it is too much to tell, or no longer kept.

        A catch-up reads first which files there are, then the WAL. If the primary finishes a file and drops the WAL
        that it was made of just in between, the secondary sees neither, until it catches up once more.
        """
        known = self._tip.offset
        start = end = max(known, tip.first - 1, tip.offset - TOLD_MAX)
        likes: Counter[str] = Counter()
        versions: dict[str, int] = {}
        for transition in view.transitions(start):
            end += 1
            versions[transition.item_id] = transition.offset
            likes[transition.item_id] += transition.liked
        counts = view.counts(list(versions))
        whole = end == tip.offset and all(count.version >= versions[count.item_id] for count in counts)
        return whole, News(counts, likes) if whole and start == known else None

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(IDLE_S)
            with suppress(StoreFailed):  # whoever reads will hear of it
                self.look()

    # What the process that writes does

    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        pairs = pairs_of(ops)
        fit = [op for op, pair in zip(ops, pairs, strict=True) if pair]  # what is unfit may be unfit to travel, too
        outcomes = iter(await self._there(Store.apply, fit))
        return [next(outcomes) if pair else refused(op) for op, pair in zip(ops, pairs, strict=True)]

    async def changes(self, after: Position | None, limit: int) -> Changes:
        return await self._there(Store.changes, after, limit)

    async def stats(self) -> Stats:
        return await self._there(Store.stats)

    async def ready(self) -> None:
        try:
            await asyncio.wait_for(self._there(Store.ready), READY_S)
        except TimeoutError:
            raise Unavailable("the process that writes does not answer") from None

    async def backup(self, copy: Path, /) -> None:
        await self._there(Store.backup, copy)

    async def remember(self, key: str, value: bytes) -> None:
        await self._there(Store.remember, key, value)

    async def expire(self) -> int:
        return await self._there(Store.expire)

    async def verify(self, repair: bool = False) -> Report:
        raise Unavailable("only the process that writes can verify")

    async def begin_epoch(self) -> None:
        raise Unavailable("only the process that writes can begin an epoch")

    async def _there(self, method: Callable[[Store, *Arguments], Awaitable[R]], *arguments: *Arguments) -> R:
        """Call the process that writes; what it has done is seen by every read begun here after it answered."""
        if self._closed:
            raise Closed("the store is closed")
        try:
            return await self._link.call(method, *arguments)
        finally:
            self._view = None

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        assert self._keeping_up is not None
        self._keeping_up.cancel()
        await asyncio.wait([self._keeping_up])
        self._view = None  # RocksDB closes only when nobody looks into it any more
        self._database.close()
