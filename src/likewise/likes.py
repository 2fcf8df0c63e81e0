"""The rules of likes, over any store: what the library offers and the HTTP API answers with.

Nothing checks before it writes: every op goes to the batcher, the store's one order decides, and the outcome says what
happened. Identity and privacy are HTTP's business; here the caller is trusted.
"""

from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from .batching import Batcher
from .counts_cache import CountsCache
from .errors import AlreadyLiked, Fault, InvalidInput, NotLiked
from .measures import Measures
from .model import (
    PAGE_LIMIT_MAX,
    Changes,
    Count,
    Keyset,
    Like,
    Op,
    Outcome,
    Page,
    Position,
    Report,
    Stats,
    Summary,
    check_ids,
    faults_of,
)
from .store import open_store
from .store.contract import News, Store
from .times import Clock, wall_clock
from .trending import HeavyHitters, Hot
from .upkeep import Upkeep

T = TypeVar("T")

PAGE_LIMIT = 20
COUNTS_MAX = 1_000
AMONG_MAX = 100
CHANGES_MAX = 1_000
HOT_LIST_MAX = 1_000
WAITING_READS_MAX = 100_000


class Limits(msgspec.Struct, frozen=True):
    """What one process may hold: ops in one commit, ops waiting for theirs, counts in memory."""

    commit_ops_max: int = 1_000
    queue_ops_max: int = 20_000
    cache_items_max: int = 200_000


class Likes:
    """Who likes what, how many, exactly once.

    ```python
    async with Likes.open("sqlite:likes.db") as likes:
        await likes.like("alice", "post:42")
    ```

    Ids are 1 to 256 bytes of UTF-8 without control characters, compared by bytes; times are microseconds since the
    epoch. Every method raises InvalidInput for malformed input, Unavailable where the store cannot answer now, and
    Closed after `close`. A write that returned is durable; a count is exact.
    """

    def __init__(self, store: Store, *, clock: Clock = wall_clock, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self.store = store
        self.clock = clock
        self.measures = Measures()
        self.hot = HeavyHitters(clock)
        self.cache = CountsCache(limits.cache_items_max)
        self.writes: Batcher[Op, Outcome] = Batcher(
            store.apply, self._committed, batch_max=limits.commit_ops_max, waiting_max=limits.queue_ops_max
        )
        self._commit_ops_max = limits.commit_ops_max
        self._counts: Batcher[str, Count] = Batcher(store.counts, self._counted, waiting_max=WAITING_READS_MAX)
        self._liked = Batcher(store.liked, waiting_max=WAITING_READS_MAX)
        self._upkeep: Upkeep | None = None
        self._told = store.tell(self._changed)

    @classmethod
    def open(
        cls, url: str = "sqlite:likes.db", *, clock: Clock = wall_clock, limits: Limits | None = None
    ) -> "Opening":
        """Open the store that `url` names; `await` it, or use it in `async with`. Raises SetupError."""
        return Opening(cls, url, clock, limits)

    async def start(self) -> None:
        """Pre-warm, and begin the upkeep (retention, the hot list): for the process that looks after the store."""
        await self.warm()
        self._upkeep = Upkeep([self.expire, self.save_hot_list])

    async def warm(self) -> None:
        """Have the counts of the last hot list in memory."""
        if saved := await self.store.recall("hot"):
            items = msgspec.json.decode(saved, type=list[str])
            self.cache.put_all(await self.store.counts(items))

    async def close(self) -> None:
        """Commit everything that was accepted, then let go of the store. Safe to call twice."""
        if self._upkeep:
            await self._upkeep.stop()
            self._upkeep = None
        await self.writes.close()
        await self.store.close()
        self.cache.clear()  # else it would go on answering

    # Writing

    async def like(
        self,
        user_id: str,
        item_id: str,
        *,
        item_type: str | None = None,
        liked_at: int | None = None,
        strict: bool = False,
    ) -> Outcome:
        """Make it so that the user likes the item. Liking again changes nothing; `strict` raises AlreadyLiked then.

        `liked_at` (microseconds) dates the like for display; without it, the moment of acceptance does.
        """
        return await self._write(Op(user_id, item_id, True, item_type, liked_at), strict)

    async def unlike(self, user_id: str, item_id: str, *, strict: bool = False) -> Outcome:
        """Make it so that the user does not like the item. `strict` raises NotLiked if that is so already."""
        return await self._write(Op(user_id, item_id, False), strict)

    async def apply(self, ops: Iterable[Op]) -> list[Outcome]:
        """Apply many ops in order, and return an outcome for each; a bad op is refused alone, by its outcome's `error`.

        Committed in slices, so a failure (StoreFailed, Overloaded) may leave the first of them applied. Applying the
        same ops again is safe.
        """
        outcomes: list[Outcome] = []
        for some in in_slices(ops, self._commit_ops_max):
            outcomes += await self.writes.submit(some)
        return outcomes

    async def forget_user(self, user_id: str) -> int:
        """Undo every like of a user, counts and lists included; returns how many. Changes keep the user's id until
        their retention ends, because whoever follows them has to learn of it."""
        self.store.refresh(now=True)
        return await self._forget(Op(like.user_id, like.item_id, False) async for like in self.likes_of(user_id))

    async def forget_item(self, item_id: str) -> int:
        """Undo every like of an item; returns how many."""
        self.store.refresh(now=True)
        return await self._forget(Op(like.user_id, like.item_id, False) async for like in self.likers_of(item_id))

    # Reading

    async def liked_at(self, user_id: str, item_id: str) -> int | None:
        """Since when the user likes the item, in microseconds since the epoch; None if they do not."""
        check_ids("user_id", [user_id])
        check_ids("item_id", [item_id])
        (liked_at,) = await self._liked.submit([(user_id, item_id)])
        return liked_at

    async def count(self, item_id: str) -> Count:
        """How many like the item."""
        count = self.cached_count(item_id)
        return count or (await self._read_counts([item_id]))[0]

    def cached_count(self, item_id: str) -> Count | None:
        """The item's count if it is in memory."""
        as_of = self.store.refresh()
        count = self.cache.get(item_id)
        if count is None:
            return None
        self.measures.cache_hits += 1
        return count if as_of is None else replace(count, as_of=as_of)

    async def counts(self, item_ids: Sequence[str], user: str | None = None) -> list[Count]:
        """The counts of up to 1,000 items, in the order asked; with `user`, also whether that user likes each."""
        _check_at_most("item_ids", item_ids, COUNTS_MAX)
        as_of = self.store.refresh()
        counts = [count for item_id in item_ids if (count := self.cache.get(item_id))]
        self.measures.cache_hits += len(counts)
        if as_of is not None:
            counts = [replace(count, as_of=as_of) for count in counts]
        if len(counts) < len(item_ids):
            held = {count.item_id: count for count in counts}
            missing = [item_id for item_id in item_ids if item_id not in held]
            held |= zip(missing, await self._read_counts(missing), strict=True)
            counts = [held[item_id] for item_id in item_ids]
        if user is None:
            return counts
        check_ids("user", [user])
        liked = await self._liked.submit([(user, item_id) for item_id in item_ids])
        return [replace(count, liked=liked_at is not None) for count, liked_at in zip(counts, liked, strict=True)]

    async def likes_page(
        self, user_id: str, *, limit: int = PAGE_LIMIT, cursor: str | None = None, item_type: str | None = None
    ) -> Page[Like]:
        """A user's likes, newest first, up to 100; pass `next_cursor` as `cursor` for the next ones."""
        check_ids("user_id", [user_id])
        return await self.store.likes_of(user_id, _check_limit(limit), _keyset(cursor), item_type)

    async def likes_of(self, user_id: str, *, item_type: str | None = None) -> AsyncIterator[Like]:
        """All of a user's likes, newest first."""
        cursor: str | None = None
        while True:
            page = await self.likes_page(user_id, limit=PAGE_LIMIT_MAX, cursor=cursor, item_type=item_type)
            for like in page.items:
                yield like
            if (cursor := page.next_cursor) is None:
                return

    async def likers_page(
        self, item_id: str, *, limit: int = PAGE_LIMIT, cursor: str | None = None, among: Sequence[str] | None = None
    ) -> Page[Like]:
        """An item's likers, newest first, up to 100; with `among` (at most 100 users) only those."""
        check_ids("item_id", [item_id])
        return await self.store.likers_of(item_id, _check_limit(limit), _keyset(cursor), _check_among(among))

    async def likers_of(self, item_id: str) -> AsyncIterator[Like]:
        """All of an item's likers, newest first."""
        cursor: str | None = None
        while True:
            page = await self.likers_page(item_id, limit=PAGE_LIMIT_MAX, cursor=cursor)
            for like in page.items:
                yield like
            if (cursor := page.next_cursor) is None:
                return

    async def summaries(
        self, item_ids: Sequence[str], *, user: str | None = None, among: Sequence[str] | None = None, show: int = 3
    ) -> list[Summary]:
        """Summaries ("liked by A, B and 98 others") of up to 100 items, from one snapshot: the newest `show` likers of
        each (of `among`, if given), its count, and whether `user` likes it."""
        _check_at_most("item_ids", item_ids, AMONG_MAX)
        check_ids("item_ids", item_ids)
        if user is not None:
            check_ids("user", [user])
        if not 0 <= show <= PAGE_LIMIT_MAX:
            raise InvalidInput(Fault("show", f"must be from 0 to {PAGE_LIMIT_MAX}"))
        return await self.store.summaries(item_ids, user, _check_among(among), show)

    async def changes(self, after: Position | None = None, limit: int = 100) -> Changes:
        """Committed transitions behind `after`, in order, up to 1,000. Raises PositionExpired."""
        if not 1 <= limit <= CHANGES_MAX:
            raise InvalidInput(Fault("limit", f"must be from 1 to {CHANGES_MAX}"))
        return await self.store.changes(after, limit)

    async def reach(self, position: Position) -> None:
        """Returns once every read begun from now on sees `position`, counts in memory included."""
        await self.store.reach(position)
        await self.writes.settled()  # the store shows a commit a moment before it is written through to the cache

    def as_of(self) -> int | None:
        """The moment that reads begun from now on are of, at least: None for the present, or microseconds since the
        epoch in a process that reads along."""
        return self.store.refresh()

    def trending(self, limit: int = PAGE_LIMIT) -> list[Hot]:
        """The items liked most right now, hottest first."""
        self.store.refresh()
        return self.hot.top(_check_limit(limit))

    # Looking after it

    async def stats(self) -> Stats:
        """Cheap figures of the store."""
        return await self.store.stats()

    async def ready(self) -> None:
        """Returns if reads and writes can be expected to work; raises Unavailable."""
        await self.store.ready()

    def announce(self, url: str) -> None:
        """Tell whoever is refused the store where this process serves it."""
        self.store.announce(url)

    async def verify(self, repair: bool = False) -> Report:
        """Recount everything from the likes; report, and with `repair` mend, what disagrees."""
        report = await self.store.verify(repair)
        if report.repaired:
            self.cache.clear()
        return report

    async def expire(self) -> int:
        """Drop changes that have outlived their retention; returns how many."""
        dropped = 0
        while some := await self.store.expire():
            dropped += some
        return dropped

    async def save_hot_list(self) -> None:
        """Remember the hot items, to have their counts in memory right after the next start.

        Upkeep does it every minute and nobody else: what a command of a moment liked says nothing about hot items.
        """
        hot = [item_id for item_id, _ in self.hot.top(HOT_LIST_MAX)]
        if hot:
            await self.store.remember("hot", msgspec.json.encode(hot))

    async def _write(self, op: Op, strict: bool) -> Outcome:
        (outcome,) = await self.writes.submit((op,))
        if outcome.error is not None:
            raise InvalidInput(*faults_of(op))
        if strict and outcome.changed is False:
            raise (AlreadyLiked if op.liked else NotLiked)(outcome.count, outcome.liked_at)
        return outcome

    def _committed(self, ops: Sequence[Op], outcomes: Sequence[Outcome], seconds: float) -> None:
        measures = self.measures
        if self._told:  # another process commits, and counts; only what is refused does not get there
            measures.refused += sum(outcome.error is not None for outcome in outcomes)
            return
        measures.commit_ops.observe(len(ops))
        measures.commit_seconds.observe(seconds)
        latest: dict[str, Outcome] = {}
        likes: dict[str, int] = {}
        for op, outcome in zip(ops, outcomes, strict=True):
            if outcome.changed:
                latest[op.item_id] = outcome
                if op.liked:
                    likes[op.item_id] = likes.get(op.item_id, 0) + 1
                else:
                    measures.unlikes += 1
            elif outcome.error is None:
                measures.unchanged += 1
            else:
                measures.refused += 1
        measures.likes += sum(likes.values())
        self._changed(News([Count(id_, o.count or 0, o.version) for id_, o in latest.items()], likes))

    def _changed(self, news: News | None) -> None:
        """Take commits into what is in memory, before anyone reads what they changed."""
        if news is None:
            self.cache.clear()
            return
        self.cache.put_all(news.counts)
        self.hot.add_all(news.likes)

    async def _read_counts(self, item_ids: Sequence[str]) -> Sequence[Count]:
        check_ids("item_id", item_ids)
        self.measures.cache_misses += len(item_ids)
        return await self._counts.submit(item_ids)

    def _counted(self, _item_ids: Sequence[str], counts: Sequence[Count], _seconds: float) -> None:
        # Here and not where the counts are awaited: in between, a newer count could be cached and dropped again.
        self.cache.put_all(counts)

    async def _forget(self, ops: AsyncIterator[Op]) -> int:
        forgotten = 0
        batch: list[Op] = []
        async for op in ops:
            batch.append(op)
            if len(batch) == self._commit_ops_max:
                forgotten += sum(bool(outcome.changed) for outcome in await self.apply(batch))
                batch.clear()
        return forgotten + sum(bool(outcome.changed) for outcome in await self.apply(batch))


class Opening:
    """`Likes.open(…)`: awaitable, and an async context manager that closes at the end."""

    def __init__(self, kind: type[Likes], url: str, clock: Clock, limits: Limits | None) -> None:
        self._kind, self._url, self._clock, self._limits = kind, url, clock, limits
        self._likes: Likes | None = None

    def __await__(self) -> Generator[object, None, Likes]:
        return self._open().__await__()

    async def __aenter__(self) -> Likes:
        self._likes = await self._open()
        return self._likes

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._likes is not None
        await self._likes.close()

    async def _open(self) -> Likes:
        store = await open_store(self._url, clock=self._clock)
        likes = self._kind(store, clock=self._clock, limits=self._limits)
        try:
            await likes.start()
        except BaseException:
            await likes.close()
            raise
        return likes


def in_slices(entries: Iterable[T], n: int) -> Iterable[list[T]]:
    """Consecutive lists of `n` entries, the last one shorter."""
    iterator = iter(entries)
    while some := list(islice(iterator, n)):
        yield some


def _check_at_most(pointer: str, values: Sequence[str], most: int) -> None:
    if len(values) > most:
        raise InvalidInput(Fault(pointer, f"must be at most {most:,}, not {len(values):,}"))


def _check_among(among: Sequence[str] | None) -> Sequence[str] | None:
    if among is not None:
        _check_at_most("among", among, AMONG_MAX)
        check_ids("among", among)
    return among


def _check_limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_LIMIT_MAX:
        raise InvalidInput(Fault("limit", f"must be from 1 to {PAGE_LIMIT_MAX}"))
    return limit


def _keyset(cursor: str | None) -> Keyset | None:
    return None if cursor is None else Keyset.parse(cursor)
