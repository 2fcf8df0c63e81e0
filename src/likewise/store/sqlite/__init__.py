"""The `sqlite:` tier: likes in one file, in this process. The default.

Writes go through one thread (`writer.py`) in whole batches. Reads run right here in the event loop's thread, on a
connection of their own: a point read takes microseconds, a thread hop costs more. Long reads (`verify`) have a thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import apsw
import msgspec

from ...errors import Closed, NotAStore
from ...fold import Pair
from ...model import Change, Changes, Count, Keyset, Like, Op, Outcome, Page, Position, Report, Stats, Summary
from ...times import DAY, Clock, Ticker, wall_clock
from ..contract import OneShard, Store, newest_first, page_of
from ..owner import Owner, own_file
from ..waiting import interruptible
from .backup import back_up, remove
from .checkpointer import Checkpointer
from .database import connect, open_database, pragma, query, read, setup_errors, snapshot, statements
from .verify import verify
from .writer import Writer, to_json

WAL_MB = 32
"""The WAL's size that begins a checkpoint: larger ones write less in all and are slower to look up in."""

TRIM_CHANGES_MAX = 5_000

_decode_counts = msgspec.json.Decoder(list[tuple[int, int]]).decode
_decode_liked = msgspec.json.Decoder(list[int | None]).decode


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What follows the `?` of `sqlite:likes.db?cache_mb=256&changes_kept_days=7`.

    `cache_mb` bounds the page caches of all connections together; `vfs` names a registered SQLite VFS. The upper bounds
    (1 TiB, a century) keep out infinity and what SQLite's integers do not hold.
    """

    cache_mb: Annotated[float, msgspec.Meta(gt=0, le=2**20)] = 192
    changes_kept_days: Annotated[float, msgspec.Meta(gt=0, le=36_525)] = 7
    vfs: str | None = None


class SqliteStore(Store):
    """One SQLite file. Open it with `SqliteStore.open`."""

    scheme = "sqlite"

    def __init__(self, path: Path, settings: Settings, clock: Clock) -> None:
        """Blocks while it opens (and recovers) the file; raises SetupError. Use `open` in an event loop."""
        self._path = path = own_file(path)
        self._clock = clock
        self._settings = settings
        self._sql = statements()
        self._owner = Owner(path, path.with_name(path.name + "-lock"))
        try:
            with setup_errors(path):
                connection = open_database(path, settings.cache_mb * 3 / 4, clock(), settings.vfs)
                self._reader = self._connect()
                for_checkpoints = self._connect()
                query(self._reader, "pragma query_only = 1")
                epoch, offset, last_at = self._where_it_ended()
        except BaseException:
            self._owner.release()
            raise
        frames_max = WAL_MB * 2**20 // pragma(connection, "page_size")
        checkpointer = Checkpointer(for_checkpoints, frames_max)
        self._writer = Writer(connection, checkpointer, Ticker(clock, last_at), epoch, offset)
        self._shard = OneShard(epoch)
        self._closed = False

    @classmethod
    async def open(cls, path: Path, settings: Settings | None = None, *, clock: Clock = wall_clock) -> "SqliteStore":
        """Open or make the file. Raises SetupError (StoreInUse, NotAStore, …)."""
        return await asyncio.to_thread(cls, path, settings or Settings(), clock)

    def announce(self, url: str) -> None:
        self._owner.announce(url)

    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        return await self._writer.apply(ops)

    async def counts(self, item_ids: Sequence[str]) -> list[Count]:
        found = _decode_counts(self._one("tallies", to_json(item_ids))[0])
        return [Count(item_id, *tally) for item_id, tally in zip(item_ids, found, strict=True)]

    async def liked(self, pairs: Sequence[Pair]) -> list[int | None]:
        return _decode_liked(self._one("liked", to_json(pairs))[0])

    async def likes_of(
        self, user_id: str, limit: int, after: Keyset | None = None, item_type: str | None = None
    ) -> Page[Like]:
        behind = _behind(after)
        if item_type is None:
            rows = self._all("timeline", user_id, *behind, limit + 1)
        else:
            rows = self._all("timeline_of_type", user_id, *behind, limit + 1, item_type)
        return page_of([Like(user_id, *row) for row in rows], limit, "item_id")

    async def likers_of(
        self, item_id: str, limit: int, after: Keyset | None = None, among: Sequence[str] | None = None
    ) -> Page[Like]:
        if among is None:
            rows = self._all("likers", item_id, *_behind(after), limit + 1)
            return page_of([Like(user_id, item_id, None, liked_at) for user_id, liked_at in rows], limit, "user_id")
        users = sorted(set(among))
        found = await self.liked([(user_id, item_id) for user_id in users])
        likes = [Like(user, item_id, None, at) for user, at in zip(users, found, strict=True) if at is not None]
        return newest_first(likes, limit, after, "user_id")

    async def summaries(
        self, item_ids: Sequence[str], user_id: str | None, among: Sequence[str] | None, show: int
    ) -> list[Summary]:
        self._check_open()
        with snapshot(self._reader):  # nothing below awaits anything but this same connection
            counts = await self.counts(item_ids)
            liked = await self.liked([(user_id or "", item_id) for item_id in item_ids])
            pages = [await self.likers_of(item_id, show, None, among) for item_id in item_ids]
        return [
            Summary(count.item_id, count.count, None if user_id is None else liked_at is not None, page.items)
            for count, liked_at, page in zip(counts, liked, pages, strict=True)
        ]

    async def changes(self, after: Position | None, limit: int) -> Changes:
        self._check_open()
        with snapshot(self._reader):
            first, last = self._change_bounds()
            start = self._shard.start_of(after, first, last)
            rows = self._all("changes", start, limit)
        items = [
            Change(self._shard.position(seq), user_id, item_id, item_type, bool(liked), at, liked_at)
            for seq, at, user_id, item_id, item_type, liked, liked_at in rows
        ]
        end = rows[-1][0] if rows else start
        return Changes(items, self._shard.position(end), end < last)

    async def reach(self, position: Position) -> None:
        _, last = self._change_bounds()
        self._shard.offset_of(position, last)

    async def scan(self, after: Pair | None, limit: int) -> list[Like]:
        return [Like(*row) for row in self._all("scan", *(after or ("", "")), limit)]

    async def stats(self) -> Stats:
        self._check_open()
        with snapshot(self._reader):
            (likes,) = self._one("note", "likes")
            first, last = self._change_bounds()
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return Stats(
            likes, self._shard.position(last), first or None, sum(f.stat().st_size for f in files if f.exists())
        )

    async def ready(self) -> None:
        self._one("note", "epoch")
        self._writer.check()

    async def expire(self) -> int:
        before = self._clock() - int(self._settings.changes_kept_days * DAY)

        def trim() -> int:
            self._writer.execute(self._sql["trim_changes"], before, TRIM_CHANGES_MAX)
            return self._writer.rows_changed()

        return await self._writer.run(trim)

    async def verify(self, repair: bool = False) -> Report:
        self._check_open()
        return await verify(self._connect, self._writer, repair, self._check_open)

    async def backup(self, copy: Path, /) -> None:
        self._check_open()

        def begin(check: Callable[[], None]) -> "asyncio.Future[None]":
            return asyncio.ensure_future(asyncio.to_thread(back_up, self._connect, copy, self._settings.vfs, check))

        await interruptible(begin, self._check_open, lambda: remove(copy))

    async def begin_epoch(self) -> None:
        epoch = self._shard.next_epoch(self._clock)
        await self._writer.run(lambda: self._writer.execute(self._sql["put_note"], "epoch", epoch))
        self._writer.epoch = epoch
        self._shard = OneShard(epoch)

    async def remember(self, key: str, value: bytes) -> None:
        await self._writer.run(lambda: self._writer.execute(self._sql["put_note"], "kept:" + key, value))

    async def recall(self, key: str) -> bytes | None:
        rows = self._all("note", "kept:" + key)
        return rows[0][0] if rows else None

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._reader.close()
        await self._writer.close()
        self._owner.release()

    def _where_it_ended(self) -> tuple[int, int, int]:
        """The file's epoch, and the newest change's offset and time (0 if there is none)."""
        try:
            ((epoch,),) = query(self._reader, self._sql["note"], ("epoch",))
            ((_, offset, last_at),) = query(self._reader, self._sql["change_bounds"])
            return int(epoch), int(offset or 0), int(last_at or 0)
        except (apsw.CorruptError, apsw.NotADBError, ValueError, TypeError) as error:
            raise NotAStore(
                f"{self._path} is damaged ({error}). Bring back a copy of it, or begin anew with another file."
            ) from error

    def _change_bounds(self) -> tuple[int, int]:
        """The first and the last change's offset; 0 and 0 if there are none."""
        first, last, _ = self._one("change_bounds")
        return first or 0, last or 0

    def _connect(self) -> apsw.Connection:
        return connect(self._path, self._settings.cache_mb / 8, self._settings.vfs)

    def _one(self, statement: str, *bindings: Any) -> tuple[Any, ...]:
        return self._all(statement, *bindings)[0]

    def _all(self, statement: str, *bindings: Any) -> list[tuple[Any, ...]]:
        return read(self._reader, self._sql[statement], bindings)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the store is closed")


def _behind(after: Keyset | None) -> tuple[int, str]:
    """Rank and id behind which a newest-first page begins. An id is never empty, so ("", lowest rank) is before all."""
    return (-(2**63), "") if after is None else (~after.liked_at, after.id)
