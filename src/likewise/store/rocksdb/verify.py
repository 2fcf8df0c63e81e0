"""`verify`: recount everything from the register, the only truth; report and mend the rest.

All of it is read from one view, in a thread. Whether a list has the same entries as the register is told by a
fingerprint of each, the sum of its entries' hashes, which takes three walks and no look-ups; unequal lists have equal
fingerprints once in 2^64. Only where they differ is each entry looked up. A repair looks again on the writer's thread,
so it is right under load.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter
from traceback import clear_frames

from ...fold import Pair
from ...model import Report
from ..contract import Findings
from . import keys
from .values import row_of, tally_of, type_of
from .view import View
from .writer import Draft, Writer

MENDED_AT_ONCE_MAX = 1_000

BREATH_ROWS = 200
BREATH_S = 0.0002
"""So often, and so long, the thread lets others have the interpreter: the event loop would wait 5 ms for it."""

STRAY = "shows a like that does not stand"
MISSING = "a like is missing"


async def verify(writer: Writer, repair: bool) -> Report:
    """See `Store.verify`."""
    loop = asyncio.get_running_loop()

    def mend(work: Callable[[Draft], None]) -> None:
        if repair:
            asyncio.run_coroutine_threadsafe(writer.run(work), loop).result()

    verification = _Verification(writer, await writer.here(writer.look), mend)
    return await asyncio.to_thread(_run, verification, repair)


def _run(verification: "_Verification", repair: bool) -> Report:
    try:
        return verification.run(repair)
    except BaseException as error:
        clear_frames(error.__traceback__)  # whoever keeps the error would keep the view, and RocksDB open
        raise
    finally:
        verification.let_go()


class _Verification:
    def __init__(self, writer: Writer, view: View, mend: Callable[[Callable[[Draft], None]], None]) -> None:
        self._writer = writer
        self._view = view
        self._mend = mend
        self._findings = Findings()
        self._suspects: list[tuple[bytes | None, Pair]] = []
        """A list's entry that has no row in the register (or None), and the pair that it speaks of."""
        self._surplus = Counter[str]()
        """Per item, how many likers its list has more than the register."""

    def run(self, repair: bool) -> Report:
        likes, register, untyped = 0, 0, 0
        for user_id, item_id, liked_at, item_type in self._register():
            likes += 1
            register += hash((user_id, item_id, liked_at, item_type))
            untyped += hash((user_id, item_id, liked_at))
        if register != sum(map(hash, self._timelines())) or untyped != sum(map(hash, self._likers())):
            self._find_strays()
            self._find_missing()
            self._restore()
        items = self._check_counts()
        if (tip := self._view.tip()).likes != likes:
            self._findings.add("stats", "likes", f"says {tip.likes}, and there are {likes}")
            self._mend(partial(self._correct_total, likes - tip.likes))
        return self._findings.report(likes, items, repair=repair)

    def let_go(self) -> None:
        """Look no more."""
        del self._view

    def _register(self) -> Iterator[tuple[str, str, int, str | None]]:
        """(user_id, item_id, liked_at, item_type) of every row."""
        for key, value in self._walk(self._view.points, keys.REGISTER):
            yield *keys.register_pair(key), *row_of(value)

    def _timelines(self) -> Iterator[tuple[str, str, int, str | None]]:
        """The same of every entry of a timeline."""
        for key, value in self._walk(self._view.lists, keys.TIMELINE):
            user_id, liked_at, item_id = keys.entry_parts(key)
            yield user_id, item_id, liked_at, type_of(value)

    def _likers(self) -> Iterator[tuple[str, str, int]]:
        """(user_id, item_id, liked_at) of every entry of a list of likers."""
        for key, _ in self._walk(self._view.lists, keys.LIKERS):
            item_id, liked_at, user_id = keys.entry_parts(key)
            yield user_id, item_id, liked_at

    def _find_strays(self) -> None:
        """Every entry of a list must have its row in the register."""
        for user_id, item_id, liked_at, item_type in self._timelines():
            pair = user_id, item_id
            if self._view.row(pair) != (liked_at, item_type):
                stray = keys.ranked(keys.timeline_of(user_id), liked_at, item_id)
                self._suspect("timeline", user_id, STRAY, pair, stray)
        for user_id, item_id, liked_at in self._likers():
            row = self._view.row((user_id, item_id))
            if row is None or row[0] != liked_at:
                self._surplus[item_id] += 1
                stray = keys.ranked(keys.likers_of(item_id), liked_at, user_id)
                self._suspect("likers", item_id, STRAY, (user_id, item_id), stray)

    def _find_missing(self) -> None:
        """Every row of the register must be in both lists."""
        for user_id, item_id, liked_at, _ in self._register():
            pair = user_id, item_id
            if self._view.entry(keys.ranked(keys.timeline_of(user_id), liked_at, item_id)) is None:
                self._suspect("timeline", user_id, MISSING, pair)
            if self._view.entry(keys.ranked(keys.likers_of(item_id), liked_at, user_id)) is None:
                self._surplus[item_id] -= 1
                self._suspect("likers", item_id, MISSING, pair)

    def _check_counts(self) -> int:
        """Every count must be the number of rows in the register; returns how many items are liked."""
        items, wrong = 0, list[str]()
        for item_id, stored, actual in self._counted():
            items += actual > 0
            if stored != actual:
                self._findings.add("counts", item_id, f"says {stored}, and {actual} like it")
                wrong.append(item_id)
        for item_id in wrong:
            self._mend(partial(self._recount, item_id))
        return items

    def _counted(self) -> Iterator[tuple[str, int, int]]:
        """(item_id, its count, how many like it by the register), for each item that has a count or likers."""
        likers = (key for key, _ in self._walk(self._view.lists, keys.LIKERS))
        listed = ((item, 0, sum(1 for _ in entries)) for item, entries in groupby(likers, keys.list_owner))
        counts = self._walk(self._view.points, keys.COUNT)
        stored = ((key[len(keys.COUNT) :], tally_of(value)[0], 0) for key, value in counts)
        for item, rows in groupby(heapq.merge(listed, stored), itemgetter(0)):
            item_id = item.decode()
            count = likers_listed = 0
            for _, n, m in rows:
                count, likers_listed = count + n, likers_listed + m
            yield item_id, count, likers_listed - self._surplus.pop(item_id, 0)
        for item_id, surplus in self._surplus.items():  # liked, and neither a count nor one liker is there
            yield item_id, 0, -surplus

    def _suspect(self, view: str, owner: str, detail: str, pair: Pair, stray: bytes | None = None) -> None:
        self._findings.add(view, owner, f"{detail}: {pair[0]} → {pair[1]}")
        self._suspects.append((stray, pair))
        if len(self._suspects) >= MENDED_AT_ONCE_MAX:
            self._restore()

    def _restore(self) -> None:
        """Put right the entries of suspects in both lists."""
        if self._suspects:
            self._mend(partial(self._restore_entries, self._suspects))
            self._suspects = []

    def _restore_entries(self, suspects: list[tuple[bytes | None, Pair]], draft: Draft) -> None:
        view = self._writer.look()
        for stray, pair in suspects:
            if stray is not None:
                draft.delete_entry(stray)
            if row := view.row(pair):  # by now; also puts back a stray that has become right
                draft.put_listed(pair, row)

    def _recount(self, item_id: str, draft: Draft) -> None:
        likers = sum(1 for _ in self._writer.look().ranked(keys.likers_of(item_id)))
        draft.put_tally(item_id, (likers, draft.tip.offset))

    def _correct_total(self, by: int, draft: Draft) -> None:
        draft.tip = draft.tip._replace(likes=draft.tip.likes + by)

    def _walk(
        self, entries: Callable[[bytes, bytes], Iterator[tuple[bytes, bytes]]], prefix: bytes
    ) -> Iterator[tuple[bytes, bytes]]:
        for n, entry in enumerate(entries(prefix, prefix), 1):
            yield entry
            if n % BREATH_ROWS == 0:
                self._writer.check()
                time.sleep(BREATH_S)
