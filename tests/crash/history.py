"""What was asked and what was answered, and whether a store found after a crash agrees with it."""

from likewise.model import Change, Op, Position
from likewise.store.contract import Store
from tests.ops import all_likers, everything

Pair = tuple[str, str]


class History:
    """Ops on pairs, at most one at a time for each pair.

    An op that was asked and never answered may have happened or not; whatever was answered must have.
    """

    def __init__(self) -> None:
        self.settled: dict[Pair, bool] = {}
        self.asked: dict[Pair, bool] = {}
        self.answers = 0
        self._position: Position | None = None
        self._streamed: set[Pair] = set()

    def ask(self, pair: Pair, liked: bool) -> None:
        self.asked[pair] = liked

    def answer(self, pair: Pair, liked: bool) -> None:
        assert self.asked.pop(pair) is liked
        self.settled[pair] = liked
        self.answers += 1

    async def problems(self, store: Store) -> list[str]:
        """Everything in the store that contradicts this history, or itself. Then the store's state is taken as
        settled, and the history can go on."""
        stands = {(like.user_id, like.item_id) for like in await everything(store, 1_000)}
        problems: list[str] = []
        for pair in self.settled.keys() | self.asked.keys() | stands:
            possible = {self.settled.get(pair, False)}
            if pair in self.asked:
                possible.add(self.asked[pair])
            if (pair in stands) not in possible:
                problems.append(
                    f"{pair}: {'invented, or an answered unlike lost' if pair in stands else 'a like lost'}"
                )
        problems += [f"{drift.view} {drift.id}: {drift.detail}" for drift in (await store.verify()).drift]
        for item_id in sorted({item_id for _, item_id in stands}):
            (count,) = await store.counts([item_id])
            if count.count != len(await all_likers(store, item_id, 1_000)):
                problems.append(f"{item_id}: {count.count} is not the number of its likers")
        problems += await self._stream(store, stands)
        self.settled = dict.fromkeys(self.settled.keys() | self.asked.keys(), False) | dict.fromkeys(stands, True)
        self.asked.clear()
        return problems

    async def _stream(self, store: Store, stands: set[Pair]) -> list[str]:
        """Follow the change stream on from where the last look left it: it must alternate, and end in what stands."""
        problems: list[str] = []
        while True:
            part = await store.changes(self._position, 1_000)
            problems += [problem for change in part.items if (problem := self._stream_one(change))]
            self._position = part.position
            if not part.has_more:
                break
        if self._streamed != stands:
            problems.append(f"the changes fold to another state: {sorted(self._streamed ^ stands)}")
        return problems

    def _stream_one(self, change: Change) -> str | None:
        pair = (change.user_id, change.item_id)
        before = self._position.offset(0) if self._position else 0
        self._position = change.position
        if change.position.offset(0) != before + 1:
            return f"the changes have a gap or a repeat at {change.position}"
        if change.liked is (pair in self._streamed):
            return f"{pair} does not alternate at {change.position}"
        (self._streamed.add if change.liked else self._streamed.discard)(pair)
        return None


async def asked_and_answered(store: Store) -> History:
    """A short history, to plant damage behind."""
    history = History()
    for user_id, item_id, liked in [("u1", "i1", True), ("u2", "i1", True), ("u2", "i2", True), ("u2", "i1", False)]:
        history.ask((user_id, item_id), liked)
        await store.apply([Op(user_id, item_id, liked)])
        history.answer((user_id, item_id), liked)
    return history
