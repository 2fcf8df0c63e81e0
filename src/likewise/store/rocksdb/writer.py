"""The one writer. A batch is one multi-get, one fold, one write and one fsync.

rocksdict holds the interpreter's lock while it writes, and lets go of it only in `flush_wal`. So the write itself is
not synced, and the fsync is a step of its own, beside which everybody else goes on; readers see a commit only after it
(docs/decisions/005-rocksdb.md).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from rocksdict import ColumnFamily, WriteBatch

from ...errors import Closed
from ...fold import Folded, Pair, Row, Tally, Transition, fold, pairs_of
from ...model import Op, Outcome
from ...times import Ticker
from ..contract import OneShard
from ..writer_thread import WriterThread
from . import keys
from .database import Database, write_failure
from .values import Tip, changes_to_bytes, row_of, row_to_bytes, tally_of, tally_to_bytes, type_to_bytes
from .view import TIP, View, read_failed

R = TypeVar("R")

FOLDED_IN_LOOP_OPS_MAX = 256
"""A larger batch would hold up the event loop for milliseconds; it is folded in the writer's thread."""


class Writer:
    """Runs one write at a time, each durable before its caller hears of it or anyone can read it."""

    def __init__(self, database: Database, ticker: Ticker, shard: OneShard, tip: Tip) -> None:
        self._database = database
        self._ticker = ticker
        self.shard = shard
        self._tip = tip
        self._thread = WriterThread(write_failure)
        self._view: View | None = self.look()

    @property
    def view(self) -> View:
        """Everything that is durable, for the event loop's thread. Raises Closed."""
        if self._view is None:
            raise Closed("the store is closed")
        return self._view

    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        """One batch, one write."""
        self.check()
        if len(ops) <= FOLDED_IN_LOOP_OPS_MAX and self._thread.idle:  # so nobody else writes
            outcomes, draft = self._fold(ops)
            if draft:
                await self._thread.run(partial(self._commit, draft))
            return outcomes
        return await self._thread.run(partial(self._fold_and_commit, ops))

    async def run(self, work: Callable[["Draft"], R]) -> R:
        """Let `work` fill a draft, on the writer's thread, and write it. Raises StoreFailed or Closed."""

        def fill_and_commit() -> R:
            draft = Draft(self._database, self._tip)
            result = work(draft)
            if draft.batch or draft.tip != self._tip:
                self._commit(draft)
            return result

        return await self._thread.run(fill_and_commit)

    async def here(self, work: Callable[[], R]) -> R:
        """Do `work` on the writer's thread, between two commits."""
        return await self._thread.run(work)

    def look(self) -> View:
        """Within `run` and `here`: everything, as a view that belongs to the caller."""
        return View(self._database.points, self._database.lists)

    def check(self) -> None:
        """Raises what a write would raise before it begins."""
        self._thread.check()

    def refuse(self) -> None:
        """Take nothing more: `check` raises Closed from now on."""
        self._thread.refuse()

    async def close(self) -> None:
        """Finish what was begun, and let go."""
        await self._thread.close(self._close)

    def _close(self) -> None:
        self._view = None  # RocksDB closes only when nobody looks into it any more
        self._database.close()

    def _fold_and_commit(self, ops: Sequence[Op]) -> list[Outcome]:
        outcomes, draft = self._fold(ops)
        if draft:
            self._commit(draft)
        return outcomes

    def _commit(self, draft: "Draft") -> None:
        draft.batch.put(TIP, draft.tip.to_bytes())
        self._database.write(draft.batch)
        self._database.sync()
        self._tip = draft.tip
        self._view = self.look()

    def _fold(self, ops: Sequence[Op]) -> tuple[list[Outcome], "Draft | None"]:
        """What a batch comes to: outcomes, and what is to be written (None: nothing)."""
        pairs = pairs_of(ops)
        rows, tallies = self._state(pairs)
        now = self._ticker.take(len(ops))
        folded = fold(ops, pairs, rows, tallies, now=now, offset=self._tip.offset, epoch=self.shard.epoch)
        if not folded.changes:
            return folded.outcomes, None
        draft = Draft(self._database, self._tip.after(folded))
        draft.put_folded(folded)
        return folded.outcomes, draft

    def _state(self, pairs: list[Pair | None]) -> tuple[dict[Pair, Row | None], dict[str, Tally]]:
        """The rows of these pairs, in the order of their keys, and the counts of their items, by one multi-get."""
        by_key = {keys.register(*pair): pair for pair in pairs if pair}
        register = sorted(by_key)
        items = sorted({item_id for _, item_id in by_key.values()})
        try:
            found = self._database.get_many(register + [keys.count(item_id) for item_id in items])
        except Exception as error:
            raise read_failed(error) from error
        rows = {by_key[key]: row_of(value) if value else None for key, value in zip(register, found, strict=False)}
        counts = found[len(register) :]
        tallies = {item_id: tally_of(value) for item_id, value in zip(items, counts, strict=True) if value}
        return rows, tallies


class Draft:
    """What one write will hold, and where the store will stand after it (its tip, which goes into the same write)."""

    def __init__(self, database: Database, tip: Tip) -> None:
        self.batch = WriteBatch(raw_mode=True)
        self.tip = tip
        self._database = database  # and not its handle of a family, which would keep it open: drafts outlive failures

    @property
    def _lists(self) -> ColumnFamily:
        return self._database.lists_family

    def put_folded(self, folded: Folded) -> None:
        """Everything that a folded batch comes to, in the order of the keys: RocksDB inserts neighbours faster."""
        put, lists = self.batch.put, self._lists
        likers: list[bytes] = []
        for pair, (before, after) in folded.rows.items():
            if before:
                self.delete_listed(pair, before[0])
            if after is None:
                self.batch.delete(keys.register(*pair))
            else:
                user_id, item_id = pair
                put(keys.register(user_id, item_id), row_to_bytes(after))
                put(keys.ranked(keys.timeline_of(user_id), after[0], item_id), type_to_bytes(after[1]), lists)
                likers.append(keys.ranked(keys.likers_of(item_id), after[0], user_id))
        for key in sorted(likers):
            put(key, b"", lists)
        for item_id in sorted(folded.tallies):
            put(keys.count(item_id), tally_to_bytes(folded.tallies[item_id]))
        self.put_changes(folded.changes)

    def put_listed(self, pair: Pair, row: Row) -> None:
        """A like's entries in both lists."""
        user_id, item_id = pair
        self.batch.put(keys.ranked(keys.timeline_of(user_id), row[0], item_id), type_to_bytes(row[1]), self._lists)
        self.batch.put(keys.ranked(keys.likers_of(item_id), row[0], user_id), b"", self._lists)

    def delete_listed(self, pair: Pair, liked_at: int) -> None:
        """The inverse of `put_listed`."""
        user_id, item_id = pair
        self.batch.delete(keys.ranked(keys.timeline_of(user_id), liked_at, item_id), self._lists)
        self.batch.delete(keys.ranked(keys.likers_of(item_id), liked_at, user_id), self._lists)

    def delete_entry(self, key: bytes) -> None:
        """An entry of a list, by its key."""
        self.batch.delete(key, self._lists)

    def put_tally(self, item_id: str, tally: Tally) -> None:
        self.batch.put(keys.count(item_id), tally_to_bytes(tally))

    def put_changes(self, changes: list[Transition]) -> None:
        """The changes of one commit."""
        self.batch.put(keys.changes(changes[-1].offset), changes_to_bytes(changes), self._lists)

    def delete_changes(self, first: int, last: int) -> None:
        """The changes of whole commits, from offset `first` to `last`."""
        self.batch.delete_range(keys.changes(first), keys.behind(keys.changes(last)), self._lists)
