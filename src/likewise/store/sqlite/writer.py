"""The one writer: a connection, and the thread in which everything that waits for the disk is done.

A small batch is folded in the event loop's thread, and only the statement that writes it goes to the writer's: two
threads that both have Python to run take turns at the interpreter's lock, and the disk waits for them
(docs/decisions/003-one-statement-commits.md).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import apsw
import msgspec
import structlog

from ...fold import Folded, fold, pairs_of
from ...model import Op, Outcome
from ...times import Ticker
from ..writer_thread import WriterThread
from .checkpointer import Checkpointer
from .database import query, read, statements, transaction, write_failure

log = structlog.get_logger("likewise.sqlite")

R = TypeVar("R")

FOLDED_IN_LOOP_OPS_MAX = 256
"""A larger batch would hold up the event loop for milliseconds; it is folded in the writer's thread."""

_encoder = msgspec.json.Encoder()
_decode_rows = msgspec.json.Decoder(list[tuple[int, str | None] | None]).decode
_decode_tallies = msgspec.json.Decoder(list[tuple[int, int]]).decode


def to_json(values: Any) -> str:
    """The JSON text that a statement takes as its parameter."""
    return _encoder.encode(values).decode()


class Writer:
    """Runs one transaction at a time, each durable before its caller hears of it. `offset` is the last change's."""

    def __init__(
        self,
        connection: apsw.Connection,
        checkpointer: Checkpointer,
        ticker: Ticker,
        epoch: int,
        offset: int,
    ) -> None:
        self._connection = connection
        self._checkpointer = checkpointer
        self._ticker = ticker
        self.epoch = epoch
        self._offset = offset
        self._sql = statements()
        self._wal_frames = 0
        self._thread = WriterThread(write_failure)
        connection.set_wal_hook(self._wal_grew)
        self.execute(self._sql["create_batch"])
        self.execute(self._sql["create_apply"])

    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        """One batch, one transaction."""
        self.check()
        if len(ops) <= FOLDED_IN_LOOP_OPS_MAX and self._thread.idle:  # so the connection is free, and nobody writes
            batch = self._fold(ops)
            if batch.columns:
                await self._thread.run(partial(self._write, batch))
        else:
            batch = await self._thread.run(lambda: self._write(self._fold(ops)))
        return batch.outcomes

    async def run(self, work: Callable[[], R]) -> R:
        """Run `work` on the writer's thread as one transaction. Raises StoreFailed or Closed."""

        def transact() -> R:
            with transaction(self._connection, "immediate"):
                result = work()
            self._committed()
            return result

        return await self._thread.run(transact)

    def execute(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Within `run`: a statement, to its end."""
        return query(self._connection, sql, bindings)

    def rows_changed(self) -> int:
        """Within `run`: how many rows the last statement changed."""
        return self._connection.changes()

    def give_way(self) -> None:
        """Called between long reads, from any thread: see `Checkpointer.give_way`."""
        self._checkpointer.give_way()

    def check(self) -> None:
        """Raises what a write would raise before it begins."""
        self._thread.check()

    async def close(self) -> None:
        """Finish what was begun, move the WAL into the database, let go."""
        await self._thread.close(self._close)

    def _close(self) -> None:
        self._checkpointer.close()
        try:
            self._connection.close()
        except apsw.Error as error:  # the WAL keeps everything; whoever opens the file next moves it
            log.warning("the last checkpoint failed", error=str(error))

    def _fold(self, ops: Sequence[Op]) -> "_Batch":
        pairs = pairs_of(ops)
        distinct = sorted({pair for pair in pairs if pair})
        items = sorted({item_id for _, item_id in distinct})
        # Read outside the transaction that writes: nobody else writes in between.
        rows, tallies = read(self._connection, self._sql["state"], (to_json(distinct), to_json(items)))[0]
        folded = fold(
            ops,
            pairs,
            dict(zip(distinct, _decode_rows(rows), strict=True)),
            dict(zip(items, _decode_tallies(tallies), strict=True)),
            now=self._ticker.take(len(ops)),
            offset=self._offset,
            epoch=self.epoch,
        )
        return _Batch(folded.outcomes, _columns(folded) if folded.changes else None, folded.offset)

    def _write(self, batch: "_Batch") -> "_Batch":
        if batch.columns:
            self.execute(self._sql["apply"], *batch.columns)
            self._offset = batch.offset
            self._committed()
        return batch

    def _committed(self) -> None:
        self._checkpointer.committed(self._connection, self._wal_frames)

    def _wal_grew(self, _connection: apsw.Connection, _database: str, frames: int) -> int:
        self._wal_frames = frames
        return apsw.SQLITE_OK


class _Batch(NamedTuple):
    """A folded batch: its outcomes, the columns of the `batch` view (None: nothing to write), its last offset."""

    outcomes: list[Outcome]
    columns: tuple[str | int, ...] | None
    offset: int


def _columns(folded: Folded) -> tuple[str | int, ...]:
    """What a batch comes to, as the columns of the `batch` view, each in the order of its table's key."""
    net = folded.rows.items()  # in the order of `distinct`, which is the key's
    come = [(*pair, *after) for pair, (_, after) in net if after]
    likers = [(item_id, ~liked_at, user_id) for user_id, item_id, liked_at, _ in come]
    gone_users: list[tuple[str, int, str]] = []
    gone_likers: list[tuple[str, int, str]] = []
    for (user_id, item_id), (before, after) in net:
        if before:
            gone_users.append((user_id, ~before[0], item_id))
            gone_likers.append((item_id, ~before[0], user_id))
            if not after:
                gone_users.append((user_id, 0, item_id))
    return (
        to_json(gone_users),
        to_json(sorted(gone_likers)),
        to_json(come),
        to_json(sorted(likers)),
        to_json([(item_id, *tally) for item_id, tally in sorted(folded.tallies.items())]),
        to_json(folded.changes),
        len(come) - len(gone_likers),
    )
