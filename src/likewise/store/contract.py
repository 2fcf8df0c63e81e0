"""The Store contract: what every tier promises. Each guarantee below has a test in `tests/contract/`.

A tier knows its driver and this vocabulary, nothing of HTTP, caching or queues. Everything it raises on purpose is in
`errors.py`. Ids reach a tier as given and come back as given: opaque, compared by bytes, never folded or trimmed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from ..errors import Fault, InvalidInput, PositionExpired
from ..fold import Pair
from ..model import Changes, Count, Drift, Keyset, Like, Op, Outcome, Page, Position, Report, Stats, Summary
from ..times import Clock


class News(NamedTuple):
    """What commits came to: the counts of the items that they changed, and how many likes each of these got."""

    counts: Sequence[Count]
    likes: Mapping[str, int]


class Store(ABC):
    """Where likes are kept.

    Calls may overlap, but `apply` is called by one writer at a time (the write batcher). A read begun after an
    `apply` returned sees it.
    """

    scheme: ClassVar[str]
    """The tier's name, as URLs begin with it."""

    @abstractmethod
    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        """Make a batch of ops true, in order, and return an outcome for each, in the same order.

        Durable before it returns, all of it or (on StoreFailed) nothing; where the disk itself failed, which of the two
        may show only when the store is opened again, and repeating is safe. A bad op is refused alone, by its outcome's
        `error`. Likes, lists, counts and changes move together: no read sees one without the other.
        """

    @abstractmethod
    async def counts(self, item_ids: Sequence[str]) -> list[Count]:
        """The counts of these items, in the order asked; 0 at version 0 for one never liked."""

    @abstractmethod
    async def liked(self, pairs: Sequence[Pair]) -> list[int | None]:
        """For each (user_id, item_id), since when it is liked, or None."""

    @abstractmethod
    async def likes_of(
        self, user_id: str, limit: int, after: Keyset | None = None, item_type: str | None = None
    ) -> Page[Like]:
        """A user's likes, newest first, ties by item id. Pages are stable: a like made meanwhile moves no other
        like to another page, and each like that stands throughout is met exactly once."""

    @abstractmethod
    async def likers_of(
        self, item_id: str, limit: int, after: Keyset | None = None, among: Sequence[str] | None = None
    ) -> Page[Like]:
        """An item's likers, newest first, ties by user id, only those in `among` if given. Pages as in `likes_of`;
        `item_type` of these likes is None."""

    @abstractmethod
    async def summaries(
        self, item_ids: Sequence[str], user_id: str | None, among: Sequence[str] | None, show: int
    ) -> list[Summary]:
        """Count, whether `user_id` likes it, and the newest `show` likers (of `among`, if given) of each item, all
        read from one snapshot: no summary contradicts itself or its neighbours."""

    @abstractmethod
    async def changes(self, after: Position | None, limit: int) -> Changes:
        """Committed transitions behind `after` (None: from the oldest kept), in order, without gap or repeat.

        Raises PositionExpired where changes behind `after` were dropped, InvalidInput for a position of another
        store. Following `Changes.position` until `has_more` is false meets every change once, also under load.
        """

    @abstractmethod
    async def reach(self, position: Position) -> None:
        """Returns once every read begun from now on sees `position`; InvalidInput if this store never gave it."""

    @abstractmethod
    async def scan(self, after: Pair | None, limit: int) -> list[Like]:
        """Up to `limit` likes behind `after` in bytewise order of (user_id, item_id); for export and copies.

        A like that stands throughout a scan is met exactly once.
        """

    @abstractmethod
    async def stats(self) -> Stats:
        """Cheap figures for dashboards."""

    @abstractmethod
    async def ready(self) -> None:
        """Returns if reads and writes can be expected to work now, else raises Unavailable. Never blocks for long."""

    @abstractmethod
    async def expire(self) -> int:
        """Drop changes older than the retention time, except the newest one; returns how many.

        Does a bounded amount of work: call it again until it returns 0.
        """

    @abstractmethod
    async def verify(self, repair: bool = False) -> Report:
        """Recount everything from the likes; report, and with `repair` mend, every view that disagrees.

        The likes are the truth. Safe under load.
        """

    @abstractmethod
    async def remember(self, key: str, value: bytes) -> None:
        """Keep a small note across restarts (the hot list). Durable, last one wins."""

    @abstractmethod
    async def recall(self, key: str) -> bytes | None:
        """The note kept under `key`, or None."""

    @abstractmethod
    async def backup(self, copy: Path, /) -> None:
        """Write a copy of the store, as it stands at one moment between two commits, to where nothing is yet. Another
        store of this tier can be opened there.

        Durable before it returns; if it fails or is cancelled, nothing is left there. Safe under load: reads and
        writes go on. Raises StoreFailed if the copy cannot be written, InvalidInput for a store that keeps nothing.
        """

    @abstractmethod
    async def begin_epoch(self) -> None:
        """Make this a store of its own, which never gave any position: those given so far, by this store or by the one
        that it is a copy of, are refused from now on. Durable. For a copy just opened, before anyone else uses it."""

    def refresh(self, *, now: bool = False) -> int | None:  # noqa: B027 - most tiers have nothing to do for it
        """Have reads begun from now on see a moment that is as late as this tier promises; with `now`, everything that
        was answered. Returns that moment, in microseconds since the epoch; None where it is always the present."""

    def tell(self, changed: Callable[[News | None], None]) -> bool:
        """Where other processes write too: from now on, tell `changed` of every commit, one's own included, before any
        read sees it; None stands for more than can be told. Returns whether this tier does so: elsewhere likes change
        by `apply` alone, and its outcomes are the news."""
        return False

    def announce(self, url: str) -> None:  # noqa: B027 - a tier that many processes share has nobody to tell
        """Tell other processes that are refused this store where this one serves it."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what was begun and let go of everything. Safe to call twice; after it, calls raise Closed."""


DRIFT_SHOWN_MAX = 100


class Findings:
    """What `verify` finds: every place counted, and the first ones shown."""

    def __init__(self) -> None:
        self._drift: list[Drift] = []
        self._drifted = 0

    def add(self, view: str, id_: str, detail: str) -> None:
        """One more place."""
        self._drifted += 1
        if len(self._drift) < DRIFT_SHOWN_MAX:
            self._drift.append(Drift(view, id_, detail))

    def report(self, likes: int, items: int, *, repair: bool) -> Report:
        """All of them; with `repair` they have been mended."""
        return Report(likes, items, self._drifted, self._drift, repair and self._drifted > 0)


class OneShard(NamedTuple):
    """How a tier of a single shard makes positions, and what it takes for one of its own."""

    epoch: int
    shard: int = 0

    def next_epoch(self, clock: Clock) -> int:
        """An epoch for `Store.begin_epoch`: a moment, as every epoch is, and never this one again."""
        return max(clock(), self.epoch + 1)

    def position(self, offset: int) -> Position:
        """The position of an offset."""
        return Position(self.epoch, ((self.shard, offset),))

    def offset_of(self, position: Position, last: int) -> int:
        """The inverse of `position`, in a store whose last offset is `last`. Raises InvalidInput."""
        if position.epoch != self.epoch or any(shard != self.shard for shard, _ in position.offsets):
            raise InvalidInput(Fault("position", "this position is of another store"))
        offset = position.offset(self.shard)
        if offset > last:
            raise InvalidInput(Fault("position", "this store has not given that position yet; is it another store's?"))
        return offset

    def start_of(self, after: Position | None, first: int, last: int) -> int:
        """The offset behind which `Store.changes` begins, where the changes from `first` to `last` are kept (both 0 if
        there are none). Raises PositionExpired, InvalidInput."""
        oldest = max(first - 1, 0)
        start = oldest if after is None else self.offset_of(after, last)
        if start < oldest:
            raise PositionExpired(
                f"changes before {self.position(first)} are no longer kept. "
                "Read the state anew (export), then follow from the newest position."
            )
        return start


def newest_first(likes: list[Like], limit: int, after: Keyset | None, by: str) -> Page[Like]:
    """Order likes newest first, ties by the field `by`, and cut the page behind `after` out of them."""

    def key(like: Like) -> tuple[int, str]:
        return -like.liked_at, getattr(like, by)

    rest = sorted((like for like in likes if after is None or key(like) > (-after.liked_at, after.id)), key=key)
    return page_of(rest, limit, by)


def page_of(likes: list[Like], limit: int, by: str) -> Page[Like]:
    """A page of `limit` from at least one more row than that, if there is one: the extra row tells that more follow."""
    if len(likes) <= limit:
        return Page(likes)
    last = likes[limit - 1]
    return Page(likes[:limit], str(Keyset(last.liked_at, getattr(last, by))))
