"""Applying what was read: a few batches in flight, in order, and a note of how far they came.

The note is kept in the store and not beside the file. It must never say more than the store holds: a store that is
put back from a backup, deleted, or another one altogether takes its note along, and a side file would go on from a
place that this store has never reached. It is written only when everything before it has been applied, so a crash
makes an import repeat some rows (which changes nothing) and never skip any.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Protocol

import msgspec

from ..model import Op, Outcome
from ..store.contract import Store
from .formats import Format, Source
from .reading import TEXT_SHOWN_MAX, Batch, Changed, Mark, Rejected, read_text

IN_FLIGHT = 4
"""Batches on their way: enough for the store never to wait for the parser."""

NOTE_EVERY_S = 1.0


class Totals(msgspec.Struct):
    """What came of the rows of a file."""

    read: int = 0
    liked: int = 0
    unliked: int = 0
    unchanged: int = 0
    rejected: int = 0


class Note(msgspec.Struct):
    """How far an import has come, and what came of it so far."""

    mark: Mark
    totals: Totals


class Applies(Protocol):
    """What an import needs: `Likes` has it, and `client.RemoteLikes`.

    Calls that overlap must apply in the order in which they began. `Likes` promises that for batches that fit into one
    commit: open it with `commit_ops_max` no less than `BATCH_OPS`.
    """

    async def apply(self, ops: Iterable[Op]) -> list[Outcome]: ...


class Notebook:
    """Notes on the import of one file, in the store that it goes to."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._key = f"import:{path.absolute()}"

    async def recall(self) -> Note | None:
        """The note of an import that was interrupted, if there is one."""
        kept = await self._store.recall(self._key)
        return msgspec.json.decode(kept, type=Note) if kept else None

    async def write(self, note: Note) -> None:
        await self._store.remember(self._key, msgspec.json.encode(note))

    async def clear(self) -> None:
        """The import is complete: the next one begins at the beginning."""
        if await self._store.recall(self._key):
            await self._store.remember(self._key, b"")


class Import:
    """One import of one file. `rejected` is told of each bad row, in order; `progress` of each batch applied."""

    def __init__(
        self,
        likes: Applies,
        notebook: Notebook | None,
        rejected: Callable[[Rejected], object],
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        self.totals = Totals()
        self.resumed_behind: Mark | None = None
        self._likes = likes
        self._notebook = notebook
        self._rejected = rejected
        self._progress = progress
        self._in_flight: deque[tuple[Batch, asyncio.Task[list[Outcome]]]] = deque()
        self._note: Note | None = None
        self._noted_at = monotonic()

    async def run(self, source: Source, format_: Format, *, resume: bool = False) -> Totals:
        """Apply every row. With `resume`, only those behind the note of an interrupted import of the same rows.

        Interrupted or failed, it notes what was applied before it goes. Raises InvalidInput for a file that is not in
        this format, and what `apply` raises.
        """
        note = await self._notebook.recall() if self._notebook and resume else None
        async with self._settled():
            for batch in self._rows(source, format_, note):
                if source.may_block:
                    await self._settle(down_to=0)  # do not leave rows waiting while we wait for more
                await self._settle(down_to=IN_FLIGHT - 1)
                self._in_flight.append((batch, asyncio.ensure_future(self._likes.apply(batch.ops))))
                await asyncio.sleep(0)  # lets it begin, and so keeps the order
        if self._notebook:
            await self._notebook.clear()
        return self.totals

    def _rows(self, source: Source, format_: Format, note: Note | None) -> Iterator[Batch]:
        if note is not None:
            try:
                rows = _rows_of(source, format_, note.mark)
            except Changed:  # not the file that was begun; beginning again is always right, only slower
                source.stream.seek(0)
            else:
                self.totals, self.resumed_behind = note.totals, note.mark
                return rows
        return _rows_of(source, format_, None)

    @asynccontextmanager
    async def _settled(self) -> AsyncGenerator[None, None]:
        """However the block ends, wait for what is in flight and note how far it came."""
        try:
            yield
            await self._settle(down_to=0)
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                for _, task in self._in_flight:  # behind a failure nothing counts, so do not wait for it
                    task.cancel()
            await asyncio.gather(*[task for _, task in self._in_flight], return_exceptions=True)
            while self._in_flight and not _failed(self._in_flight[0][1]):
                self._count(*self._in_flight.popleft())
            await self._write_note()
            raise

    async def _settle(self, down_to: int) -> None:
        while len(self._in_flight) > down_to:
            batch, task = self._in_flight[0]
            await asyncio.wait((task,))  # and not `await task`, which an interrupt would cancel
            task.result()
            self._in_flight.popleft()
            self._count(batch, task)
            self._progress()
            await self._note_now_and_then()

    def _count(self, batch: Batch, task: "asyncio.Task[list[Outcome]]") -> None:
        totals = self.totals
        rejected, already_rejected = batch.rejected, len(batch.rejected)
        for k, (op, outcome) in enumerate(zip(batch.ops, task.result(), strict=True)):
            if outcome.error is not None:
                rejected.append(Rejected(batch.lines[k], outcome.error, batch.texts[k][:TEXT_SHOWN_MAX]))
            elif outcome.changed is False:
                totals.unchanged += 1
            elif op.liked:
                totals.liked += 1
            else:
                totals.unliked += 1
        for row in sorted(rejected):
            self._rejected(row)
        totals.read += len(batch.ops) + already_rejected
        totals.rejected += len(rejected)
        if batch.mark:
            self._note = Note(batch.mark, msgspec.structs.replace(totals))

    async def _note_now_and_then(self) -> None:
        if self._note and monotonic() > self._noted_at + NOTE_EVERY_S:
            await self._write_note()

    async def _write_note(self) -> None:
        if self._note and self._notebook:
            await self._notebook.write(self._note)
        self._noted_at, self._note = monotonic(), None


def _failed(task: "asyncio.Task[list[Outcome]]") -> bool:
    return task.cancelled() or task.exception() is not None


def _rows_of(source: Source, format_: Format, after: Mark | None) -> Iterator[Batch]:
    if format_ is Format.PARQUET:
        from .parquet import read_parquet

        return read_parquet(source.stream, after)
    return read_text(source.stream, format_, after, may_block=source.may_block)
