"""The one writer: a connection and the thread that alone uses it."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import apsw
import msgspec

from ...errors import Closed, StoreFailed
from ...fold import Folded, Row, fold, pairs_of
from ...model import Op, Outcome
from ...times import Ticker
from .checkpointer import Checkpointer
from .database import statements, write_error

R = TypeVar("R")

_encoder = msgspec.json.Encoder()
_decode_rows = msgspec.json.Decoder(list[tuple[int, str | None] | None]).decode
_decode_tallies = msgspec.json.Decoder(list[tuple[int, int]]).decode


def to_json(values: Any) -> str:
    """The JSON text that a statement takes as its parameter."""
    return _encoder.encode(values).decode()


class Writer:
    """Runs one transaction at a time, each durable before its caller hears of it."""

    def __init__(
        self, connection: apsw.Connection, checkpointer: Checkpointer, ticker: Ticker, epoch: int, offset: int
    ) -> None:
        self.offset = offset
        self._connection = connection
        self._cursor = connection.cursor()
        self._checkpointer = checkpointer
        self._ticker = ticker
        self._epoch = epoch
        self._sql = statements()
        self._wal_frames = 0
        self._broken: str | None = None
        self._thread = ThreadPoolExecutor(1, "likewise-writer")
        self._closed = False
        connection.set_wal_hook(self._wal_grew)

    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        """One batch, one transaction."""
        return await self.run(lambda: self._apply(ops))

    async def run(self, work: Callable[[], R]) -> R:
        """Run `work` on the writer's thread as one transaction. Raises StoreFailed or Closed."""
        self.check()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    def execute(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Within `run`: a statement, to its end."""
        return self._cursor.execute(sql, bindings).fetchall()

    def rows_changed(self) -> int:
        """Within `run`: how many rows the last statement changed."""
        return self._connection.changes()

    def check(self) -> None:
        """Raises what a write would raise before it begins."""
        if self._closed:
            raise Closed("the store is closed")
        if self._broken:
            raise StoreFailed(self._broken, 60)

    async def close(self) -> None:
        """Finish what was begun, move the WAL into the database, let go."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        self._checkpointer.close()
        self._connection.close()

    def _transact(self, work: Callable[[], R]) -> R:
        self.check()
        offset = self.offset
        try:
            self._cursor.execute("begin immediate")
            result = work()
            self._cursor.execute("commit")
        except BaseException as error:
            self.offset = offset
            self._roll_back(error)
            raise
        self._checkpointer.committed(self._connection, self._wal_frames)
        return result

    def _roll_back(self, error: BaseException) -> None:
        if isinstance(error, apsw.IOError):
            # After a failed fsync the kernel may have dropped the pages, and a second fsync would lie. Only opening
            # the file anew, which reads what is really there, may go on from here.
            self._broken = f"an earlier write failed ({error}). Check the disk, then restart."
        if self._connection.in_transaction:
            self._cursor.execute("rollback")
        if isinstance(error, apsw.Error):
            raise write_error(error) from error

    def _apply(self, ops: Sequence[Op]) -> list[Outcome]:
        pairs = pairs_of(ops)
        distinct = sorted({pair for pair in pairs if pair})
        items = sorted({item_id for _, item_id in distinct})
        rows = dict(zip(distinct, self._look_up(_decode_rows, "rows", distinct), strict=True))
        tallies = dict(zip(items, self._look_up(_decode_tallies, "tallies", items), strict=True))
        now = self._ticker.take(len(ops))
        folded = fold(ops, pairs, rows, tallies, now=now, offset=self.offset, epoch=self._epoch)
        if folded.changes:
            self._write(folded)
        self.offset = folded.offset
        return folded.outcomes

    def _look_up(self, decode: Callable[[str], list[R]], statement: str, keys: Sequence[Any]) -> list[R]:
        return decode(self.execute(self._sql[statement], to_json(keys))[0][0])

    def _write(self, folded: Folded) -> None:
        net = sorted(folded.rows.items())
        gone = [(*pair, before) for pair, (before, _) in net if before]
        come = [(*pair, *after) for pair, (_, after) in net if after]
        if gone:
            self._drop(gone, folded)
        if come:
            self.execute(self._sql["put_user_rows"], to_json(come))
            self.execute(
                self._sql["put_likers"],
                to_json(sorted([(item_id, ~liked_at, user_id) for user_id, item_id, liked_at, _ in come])),
            )
        tallies = [(item_id, *tally) for item_id, tally in sorted(folded.tallies.items())]
        self.execute(self._sql["put_tallies"], to_json(tallies))
        self.execute(self._sql["put_changes"], to_json(folded.changes))
        if len(come) != len(gone):
            self.execute(self._sql["add_likes"], len(come) - len(gone))

    def _drop(self, gone: list[tuple[str, str, Row]], folded: Folded) -> None:
        timeline = [(user_id, ~liked_at, item_id) for user_id, item_id, (liked_at, _) in gone]
        register = [(user_id, 0, item_id) for user_id, item_id, _ in gone if not folded.rows[user_id, item_id][1]]
        likers = [(item_id, ~liked_at, user_id) for user_id, item_id, (liked_at, _) in gone]
        self.execute(self._sql["drop_user_rows"], to_json(sorted(timeline + register)))
        self.execute(self._sql["drop_likers"], to_json(sorted(likers)))

    def _wal_grew(self, _connection: apsw.Connection, _database: str, frames: int) -> int:
        self._wal_frames = frames
        return apsw.SQLITE_OK
