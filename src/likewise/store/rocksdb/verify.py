"""`verify`: recount everything from the register, the only truth; report and mend the rest.

All of it is read from one snapshot, in a thread. Every entry of a list must have its row in the register; entries of a
list are distinct, so if there are as many as rows, none is missing, and only otherwise each row is looked up in both
lists. A repair looks again on the writer's thread, so it is right under load.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby

from ...fold import Pair
from ...model import Drift, Report
from . import keys
from .values import row_of, tally_of, type_of
from .view import View
from .writer import Draft, Writer

DRIFT_SHOWN_MAX = 100
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

    view = await writer.here(writer.look)
    return await asyncio.to_thread(lambda: _Verification(writer, view, mend).run(repair))


class _Verification:
    def __init__(self, writer: Writer, view: View, mend: Callable[[Callable[[Draft], None]], None]) -> None:
        self._writer = writer
        self._view = view
        self._mend = mend
        self._drift: list[Drift] = []
        self._drifted = 0
        self._suspects: list[tuple[bytes | None, Pair]] = []
        """A list's entry that has no row in the register (or None), and the pair that it speaks of."""
        self._surplus = Counter[str]()
        """Per item, how many likers its list has more than the register."""

    def run(self, repair: bool) -> Report:
        likes = sum(1 for _ in self._walk(self._view.points, keys.REGISTER))
        timelines = self._check_timelines()
        likers = self._check_likers()
        if timelines < likes or likers < likes:
            self._check_register()
        self._restore()
        items = self._check_counts()
        if (tip := self._view.tip()).likes != likes:
            self._found("stats", "likes", f"says {tip.likes}, and there are {likes}")
            self._mend(partial(self._correct_total, likes - tip.likes))
        return Report(likes, items, self._drifted, self._drift, repair and self._drifted > 0)

    def _check_timelines(self) -> int:
        """How many entries of timelines have their row in the register; the others are strays."""
        right = 0
        for key, value in self._walk(self._view.lists, keys.TIMELINE):
            user_id = keys.list_owner(key)
            liked_at, item_id = keys.ranked_parts(key, len(keys.timeline_of(user_id)))
            if self._view.row((user_id, item_id)) == (liked_at, type_of(value)):
                right += 1
            else:
                self._suspect("timeline", user_id, STRAY, (user_id, item_id), key)
        return right

    def _check_likers(self) -> int:
        """The same of likers."""
        right = 0
        for key, _ in self._walk(self._view.lists, keys.LIKERS):
            item_id = keys.list_owner(key)
            liked_at, user_id = keys.ranked_parts(key, len(keys.likers_of(item_id)))
            row = self._view.row((user_id, item_id))
            if row and row[0] == liked_at:
                right += 1
            else:
                self._surplus[item_id] += 1
                self._suspect("likers", item_id, STRAY, (user_id, item_id), key)
        return right

    def _check_register(self) -> None:
        """Every row of the register must be in both lists."""
        for key, value in self._walk(self._view.points, keys.REGISTER):
            user_id, item_id = pair = keys.register_pair(key)
            liked_at, _ = row_of(value)
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
                self._found("counts", item_id, f"says {stored}, and {actual} like it")
                wrong.append(item_id)
        for item_id in wrong:
            self._mend(partial(self._recount, item_id))
        return items

    def _counted(self) -> Iterator[tuple[str, int, int]]:
        """(item_id, its count, how many like it by the register), for each item that has a count or likers."""
        entries = (key for key, _ in self._walk(self._view.lists, keys.LIKERS))
        for item_id, likers in groupby(entries, keys.list_owner):
            yield item_id, self._view.tally(item_id)[0], sum(1 for _ in likers) - self._surplus.pop(item_id, 0)
        for key, value in self._walk(self._view.points, keys.COUNT):
            item_id = keys.count_item(key)
            if next(self._view.ranked(keys.likers_of(item_id)), None) is None:
                yield item_id, tally_of(value)[0], -self._surplus.pop(item_id, 0)
        for item_id, surplus in self._surplus.items():  # neither a count nor one liker is listed
            yield item_id, 0, -surplus

    def _suspect(self, view: str, owner: str, detail: str, pair: Pair, stray: bytes | None = None) -> None:
        self._found(view, owner, f"{detail}: {pair[0]} → {pair[1]}")
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

    def _found(self, view: str, id_: str, detail: str) -> None:
        self._drifted += 1
        if len(self._drift) < DRIFT_SHOWN_MAX:
            self._drift.append(Drift(view, id_, detail))
