"""The reference model: every guarantee of the contract in the plainest way, in memory. Tests hold the tiers to it.

Also useful in an application's own tests: `Likes.open("memory:")`. Nothing survives `close`.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import astuple

from ..errors import Closed, Fault, InvalidInput
from ..fold import NO_LIKES, Pair, Row, Tally, fold, pairs_of
from ..model import Change, Changes, Count, Keyset, Like, Op, Outcome, Page, Position, Report, Stats, Summary
from ..times import DAY, Clock, Ticker, wall_clock
from .contract import OneShard, Store, newest_first

EXPIRE_CHANGES_MAX = 5_000


class MemoryStore(Store):
    """Two dictionaries and a list."""

    scheme = "memory"

    def __init__(self, *, clock: Clock = wall_clock, changes_kept_days: float = 7) -> None:
        self._rows: dict[Pair, Row] = {}
        self._tallies: dict[str, Tally] = {}
        self._changes: list[Change] = []
        self._notes: dict[str, bytes] = {}
        self._shard = OneShard(clock())
        self._offset = 0
        self._clock = clock
        self._ticker = Ticker(clock)
        self._changes_kept_us = int(changes_kept_days * DAY)
        self._closed = False

    async def apply(self, ops: Sequence[Op]) -> list[Outcome]:
        self._check_open()
        pairs = pairs_of(ops)
        rows = {pair: self._rows.get(pair) for pair in pairs if pair}
        folded = fold(
            ops,
            pairs,
            rows,
            self._tallies,
            now=self._ticker.take(len(ops)),
            offset=self._offset,
            epoch=self._shard.epoch,
        )
        for pair, (_, after) in folded.rows.items():
            if after is None:
                del self._rows[pair]
            else:
                self._rows[pair] = after
        self._tallies.update(folded.tallies)
        self._changes += [
            Change(self._shard.position(offset), user_id, item_id, item_type, liked, at, liked_at)
            for offset, at, user_id, item_id, item_type, liked, liked_at in map(astuple, folded.changes)
        ]
        self._offset = folded.offset
        return folded.outcomes

    async def counts(self, item_ids: Sequence[str]) -> list[Count]:
        self._check_open()
        return [Count(item_id, *self._tallies.get(item_id, NO_LIKES)) for item_id in item_ids]

    async def liked(self, pairs: Sequence[Pair]) -> list[int | None]:
        self._check_open()
        return [row[0] if (row := self._rows.get(pair)) else None for pair in pairs]

    async def likes_of(
        self, user_id: str, limit: int, after: Keyset | None = None, item_type: str | None = None
    ) -> Page[Like]:
        self._check_open()
        likes = [like for like in self._likes() if like.user_id == user_id and item_type in (None, like.item_type)]
        return newest_first(likes, limit, after, "item_id")

    async def likers_of(
        self, item_id: str, limit: int, after: Keyset | None = None, among: Sequence[str] | None = None
    ) -> Page[Like]:
        self._check_open()
        likes = [
            Like(like.user_id, item_id, None, like.liked_at)
            for like in self._likes()
            if like.item_id == item_id and (among is None or like.user_id in among)
        ]
        return newest_first(likes, limit, after, "user_id")

    async def summaries(
        self, item_ids: Sequence[str], user_id: str | None, among: Sequence[str] | None, show: int
    ) -> list[Summary]:
        counts = await self.counts(item_ids)
        likers = [await self.likers_of(item_id, show, None, among) for item_id in item_ids]
        return [
            Summary(
                count.item_id,
                count.count,
                None if user_id is None else (user_id, count.item_id) in self._rows,
                page.items,
            )
            for count, page in zip(counts, likers, strict=True)
        ]

    async def changes(self, after: Position | None, limit: int) -> Changes:
        self._check_open()
        first = self._changes[0].position.offset(self._shard.shard) if self._changes else 0
        start = self._shard.start_of(after, first, self._offset)
        items = self._changes[start - first + 1 :][:limit]
        end = start + len(items)
        return Changes(items, self._shard.position(end), end < self._offset)

    async def reach(self, position: Position) -> None:
        self._check_open()
        self._shard.offset_of(position, self._offset)

    async def scan(self, after: Pair | None, limit: int) -> list[Like]:
        self._check_open()
        likes = sorted(self._likes(), key=lambda like: (like.user_id, like.item_id))
        return [like for like in likes if after is None or (like.user_id, like.item_id) > after][:limit]

    async def stats(self) -> Stats:
        self._check_open()
        oldest = self._changes[0].position.offset(self._shard.shard) if self._changes else None
        return Stats(len(self._rows), self._shard.position(self._offset), oldest, 0)

    async def ready(self) -> None:
        self._check_open()

    async def expire(self) -> int:
        self._check_open()
        before = self._clock() - self._changes_kept_us
        old = [change for change in self._changes[:-1][:EXPIRE_CHANGES_MAX] if change.at < before]
        del self._changes[: len(old)]
        return len(old)

    async def verify(self, repair: bool = False) -> Report:
        self._check_open()
        return Report(len(self._rows), sum(count > 0 for count, _ in self._tallies.values()), 0, [], False)

    async def remember(self, key: str, value: bytes) -> None:
        self._check_open()
        self._notes[key] = value

    async def recall(self, key: str) -> bytes | None:
        self._check_open()
        return self._notes.get(key)

    async def backup(self, copy: Path, /) -> None:
        self._check_open()
        raise InvalidInput(Fault("store", "memory: keeps nothing, so there is nothing to back up"))

    async def begin_epoch(self) -> None:
        self._check_open()
        self._shard = OneShard(self._shard.next_epoch(self._clock))

    async def close(self) -> None:
        self._closed = True

    def _likes(self) -> list[Like]:
        return [Like(*pair, item_type, liked_at) for pair, (liked_at, item_type) in self._rows.items()]

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the store is closed")
