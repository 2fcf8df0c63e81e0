"""Reading: the likes as they stand at one moment."""

from collections.abc import Iterator, Sequence
from itertools import islice

from rocksdict import Rdict, RdictIter

from ...fold import NO_LIKES, Pair, Row, Tally, Transition
from ...model import Change, Changes, Count, Keyset, Like, Page, Position, Summary
from ..contract import OneShard, newest_first, page_of
from . import keys
from .database import read_failed
from .values import Tip, changes_of, epoch_of, row_of, tally_of, type_of

TIP = keys.note("tip")
EPOCH = keys.note("epoch")


class View:
    """What a database says at the moment when this is made. See `Store` for the methods of the same names.

    rocksdict's `Snapshot` finds single keys as they were, but its iterators ignore it, so there is an iterator for each
    column family, which by itself stays at its moment. Therefore a view belongs to one thread, and a walk along a
    family ends before the next one along the same begins.

    A secondary has no snapshots: there single keys are read as they are, and a view lasts until the next
    `try_catch_up_with_primary`.
    """

    def __init__(self, points: Rdict, lists: Rdict, *, secondary: bool = False) -> None:
        self._get = points if secondary else points.snapshot()
        self._points = points.iter()
        self._lists = lists.iter()

    def epoch(self) -> int | None:
        value = self.get(EPOCH)
        return epoch_of(value) if value else None

    def tip(self) -> Tip:
        value = self.get(TIP)
        return Tip.of(value) if value else Tip()

    def tally(self, item_id: str) -> Tally:
        value = self.get(keys.count(item_id))
        return tally_of(value) if value else NO_LIKES

    def row(self, pair: Pair) -> Row | None:
        value = self.get(keys.register(*pair))
        return row_of(value) if value else None

    def counts(self, item_ids: Sequence[str]) -> list[Count]:
        return [Count(item_id, *self.tally(item_id)) for item_id in item_ids]

    def liked(self, pairs: Sequence[Pair]) -> list[int | None]:
        return [row[0] if (row := self.row(pair)) else None for pair in pairs]

    def likes_of(self, user_id: str, limit: int, after: Keyset | None, item_type: str | None) -> Page[Like]:
        likes = (
            Like(user_id, item_id, of_type, liked_at)
            for liked_at, item_id, of_type in self.ranked(keys.timeline_of(user_id), after)
            if item_type in (None, of_type)
        )
        return page_of(list(islice(likes, limit + 1)), limit, "item_id")

    def likers_of(self, item_id: str, limit: int, after: Keyset | None, among: Sequence[str] | None) -> Page[Like]:
        if among is None:
            rows = islice(self.ranked(keys.likers_of(item_id), after), limit + 1)
            return page_of([Like(user_id, item_id, None, at) for at, user_id, _ in rows], limit, "user_id")
        users = sorted(set(among))
        found = self.liked([(user_id, item_id) for user_id in users])
        likes = [Like(user, item_id, None, at) for user, at in zip(users, found, strict=True) if at is not None]
        return newest_first(likes, limit, after, "user_id")

    def summary(self, item_id: str, user_id: str | None, among: Sequence[str] | None, show: int) -> Summary:
        liked = None if user_id is None else self.row((user_id, item_id)) is not None
        return Summary(item_id, self.tally(item_id)[0], liked, self.likers_of(item_id, show, None, among).items)

    def changes(self, shard: OneShard, after: Position | None, limit: int) -> Changes:
        tip = self.tip()
        start = shard.start_of(after, tip.first, tip.offset)
        found = list(islice(self.transitions(start), limit))
        end = start + len(found)  # offsets have no gaps
        if (found and found[-1].offset != end) or (len(found) < limit and end < tip.offset):
            raise read_failed(LookupError(f"changes are missing behind {shard.position(start)}"))
        items = [
            Change(shard.position(t.offset), t.user_id, t.item_id, t.item_type, t.liked, t.at, t.liked_at)
            for t in found
        ]
        return Changes(items, shard.position(end), end < tip.offset)

    def transitions(self, after: int) -> Iterator[Transition]:
        """What is kept of the changes behind the offset `after`."""
        for _, value in self.lists(keys.changes(after + 1), keys.CHANGES):
            yield from (transition for transition in changes_of(value) if transition.offset > after)

    def scan(self, after: Pair | None, limit: int) -> list[Like]:
        start = keys.behind(keys.register(*after)) if after else keys.REGISTER
        rows = ((keys.register_pair(key), row_of(value)) for key, value in self.points(start, keys.REGISTER))
        return [Like(*pair, item_type, liked_at) for pair, (liked_at, item_type) in islice(rows, limit)]

    def ranked(self, of: bytes, after: Keyset | None = None) -> Iterator[tuple[int, str, str | None]]:
        """(liked_at, id, item_type) along the list `of`."""
        start = keys.behind(keys.ranked(of, after.liked_at, after.id)) if after else of
        return ((*keys.ranked_parts(key, len(of)), type_of(value)) for key, value in self.lists(start, of))

    def get(self, key: bytes) -> bytes | None:
        """The value of a point, or None. Raises StoreFailed."""
        try:
            return self._get[key]
        except Exception as error:
            if isinstance(error, KeyError) or error.args == ("key not found",):
                return None
            raise read_failed(error) from error

    def entry(self, key: bytes) -> bytes | None:
        """The value of an entry in a list, or None. Raises StoreFailed."""
        return next((value for found, value in self.lists(key, key) if found == key), None)

    def points(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of points from `start` on, while they begin with `prefix`. Raises StoreFailed."""
        return walk(self._points, start, prefix)

    def lists(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The same of lists."""
        return walk(self._lists, start, prefix)


def walk(iterator: RdictIter, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values from `start` on. rocksdict's own loops end at damaged data as if nothing followed; this raises
    StoreFailed."""
    iterator.seek(start)
    while iterator.valid() and (key := iterator.key()).startswith(prefix):
        yield key, iterator.value()
        iterator.next()
    try:
        iterator.status()
    except Exception as error:
        raise read_failed(error) from error
