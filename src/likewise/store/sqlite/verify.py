"""`verify`: recount everything from the register (rank 0 of user_likes), the only truth; report and mend the rest.

Reads run in a thread on a connection of their own, a range of keys per statement, so that neither the event loop nor
the WAL waits for them. A repair looks again inside the writer's transaction, so it is right under load.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import apsw

from ...model import Report
from ..contract import Findings
from .database import read, statements
from .writer import Writer

RANGE_ROWS = 10_000

Span = tuple[str | bytes, str | bytes]
TO_THE_END = b""

PAIR_CHECKS = {
    "not_in_timeline": ("user_id", "timeline", "a like is missing"),
    "only_in_timeline": ("user_id", "timeline", "shows a like that does not stand"),
    "not_in_likers": ("user_id", "likers", "a like is missing"),
    "only_in_likers": ("item_id", "likers", "shows a like that does not stand"),
}
"""Per check: the key that its ranges run over, the view that it holds against the register, what it finds."""


async def verify(
    connect: Callable[[], apsw.Connection], writer: Writer, repair: bool, check_open: Callable[[], None]
) -> Report:
    """See `Store.verify`. Ends with what `check_open` raises once the store is closed: nobody waits for it then."""
    loop = asyncio.get_running_loop()

    def mend(work: Callable[[], None]) -> None:
        if repair:
            asyncio.run_coroutine_threadsafe(writer.run(work), loop).result()

    return await asyncio.to_thread(lambda: _Verification(connect(), writer, mend, check_open).run(repair))


class _Verification:
    def __init__(
        self,
        connection: apsw.Connection,
        writer: Writer,
        mend: Callable[[Callable[[], None]], None],
        check_open: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._check_open = check_open
        self._writer = writer
        self._mend = mend
        self._sql = statements("verify.sql")
        self._findings = Findings()

    def run(self, repair: bool) -> Report:
        try:
            likes, items = self._check_users(), self._check_items()
            self._check_total()
        finally:
            self._connection.close()
        return self._findings.report(likes, items, repair=repair)

    def _check_users(self) -> int:
        likes = 0
        for span in self._ranges("user_range_end"):
            likes += self._read("count_register", *span)[0][0]
            self._check_pairs("user_id", span)
        return likes

    def _check_items(self) -> int:
        items = 0
        for span in self._ranges("item_range_end"):
            self._check_pairs("item_id", span)
            wrong = self._read("wrong_counts", *span)
            for item_id, stored, actual in wrong:
                self._findings.add("counts", item_id, f"says {stored}, and {actual} like it")
            if wrong:
                self._mend(partial(self._recount, [item_id for item_id, _, _ in wrong]))
            items += self._read("count_items", *span)[0][0]
        return items

    def _check_pairs(self, key: str, span: Span) -> None:
        pairs: set[tuple[str, str]] = set()
        for check, (over, view, detail) in PAIR_CHECKS.items():
            if over == key:
                for user_id, item_id in self._read(check, *span):
                    self._findings.add(
                        view, user_id if view == "timeline" else item_id, f"{detail}: {user_id} → {item_id}"
                    )
                    pairs.add((user_id, item_id))
        if pairs:
            self._mend(partial(self._restore, pairs))

    def _check_total(self) -> None:
        # One statement, hence one snapshot: the ranges above were read at different moments.
        stored, actual = self._read("totals")[0]
        if stored != actual:
            self._findings.add("stats", "likes", f"says {stored}, and there are {actual}")
            self._mend(lambda: self._write("recount_likes"))

    def _restore(self, pairs: set[tuple[str, str]]) -> None:
        for pair in sorted(pairs):
            for statement in ("drop_stray_timeline", "drop_stray_likers", "restore_timeline", "restore_liker"):
                self._write(statement, *pair)
        self._recount(sorted({item_id for _, item_id in pairs}))

    def _recount(self, item_ids: list[str]) -> None:
        for item_id in item_ids:
            self._write("recount", item_id)

    def _ranges(self, end_statement: str) -> Iterator[Span]:
        start: str | bytes = ""
        while start != TO_THE_END:
            found = self._read(end_statement, start, RANGE_ROWS)
            end = found[0][0] if found else TO_THE_END
            yield start, end
            start = end

    def _read(self, statement: str, *bindings: Any) -> list[tuple[Any, ...]]:
        self._check_open()
        self._writer.give_way()
        return read(self._connection, self._sql[statement], bindings)

    def _write(self, statement: str, *bindings: Any) -> None:
        self._writer.execute(self._sql[statement], *bindings)
