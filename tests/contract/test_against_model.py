"""Each tier against the reference model: whatever is done to both, both answer the same."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from likewise.errors import LikewiseError
from likewise.likes import Likes, Limits
from likewise.model import Keyset, Op, Outcome, Position
from likewise.store import open_store
from likewise.store.contract import Store
from likewise.store.memory import MemoryStore
from tests.clocks import DAY, NEW_YEAR, SECOND, SetClock
from tests.ops import all_changes, all_likers, all_likes, everything
from tests.tiers import TIERS, Tier

USERS = ["u", "v", "w", "U", "u ", "é"]
ITEMS = ["i", "j", "I", "i ", "😀", "\uffff"]

users, items = st.sampled_from(USERS), st.sampled_from(ITEMS)
types = st.sampled_from([None, "post", "video"])
ops = st.builds(Op, users, items, st.booleans(), types, st.sampled_from([None, None, None, 0, 7, NEW_YEAR]))
bad_ops = st.sampled_from([Op("", "i", True), Op("u", "\n", True), Op("u", "i", True, None, -5)])


# A failure is reported as it was found: each step writes and syncs, and shrinking would take minutes.
BOUNDED = settings(settings.get_profile("likewise"), phases=[Phase.generate])


class AgainstModel(RuleBasedStateMachine):
    """Does everything twice: to a store of `tier`, and to the model."""

    tier: Tier

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = SetClock()
        self.latest = self.clock.now
        self.positions: list[Position] = []

    @initialize()
    def open(self) -> None:
        self.stores: list[Store] = [self.run(self._open()), MemoryStore(clock=self.clock)]
        # The model's epoch is a constant of its own, and a position means something only to the store that gave it.
        self.epochs = [self.run(store.stats()).position.epoch for store in self.stores]

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            self.run(self.stores[0].close())
        self.runner.close()
        self.folder.cleanup()

    @rule(batch=st.lists(st.one_of(ops, ops, ops, ops, bad_ops), max_size=12))
    def apply(self, batch: list[Op]) -> None:
        before = self.clock.now
        for outcome in self.same(lambda store: self._apply(store, batch)):
            if outcome.offset is not None:
                self.positions.append(Position(0, ((outcome.shard, outcome.offset),)))
        assert self.clock.now == before

    @rule(us=st.sampled_from([0, 1, SECOND, -SECOND, DAY, -DAY, 4 * DAY]))
    def pass_time(self, us: int) -> None:
        self.clock.step(us)
        self.latest = max(self.latest, self.clock.now)

    @rule()
    def expire(self) -> None:
        self.same(lambda store: store.expire())

    @rule(user=users)
    def forget_user(self, user: str) -> None:
        self.same(lambda store: self._rules(store).forget_user(user))

    @rule(item=items)
    def forget_item(self, item: str) -> None:
        self.same(lambda store: self._rules(store).forget_item(item))

    @rule(user=users, limit=st.integers(1, 5), item_type=types)
    def read_likes(self, user: str, limit: int, item_type: str | None) -> None:
        self.same(lambda store: all_likes(store, user, limit, item_type))

    @rule(item=items, limit=st.integers(1, 5), among=st.none() | st.lists(users, max_size=4))
    def read_likers(self, item: str, limit: int, among: list[str] | None) -> None:
        self.same(lambda store: all_likers(store, item, limit, among))

    @rule(user=users, id_=items, liked_at=st.integers(0, 10) | st.just(NEW_YEAR), limit=st.integers(1, 3))
    def read_a_page_from_anywhere(self, user: str, id_: str, liked_at: int, limit: int) -> None:
        self.same(lambda store: store.likes_of(user, limit, Keyset(liked_at, id_)))
        self.same(lambda store: store.likers_of(id_, limit, Keyset(liked_at, user)))

    @rule(
        asked=st.lists(items, max_size=4),
        user=st.none() | users,
        among=st.none() | st.lists(users),
        show=st.integers(0, 3),
    )
    def read_summaries(self, asked: list[str], user: str | None, among: list[str] | None, show: int) -> None:
        self.same(lambda store: store.summaries(asked, user, among, show))

    @rule(limit=st.integers(1, 9))
    def read_all_changes(self, limit: int) -> None:
        self.same(lambda store: self._changes(store, None, limit))

    @precondition(lambda self: self.positions)
    @rule(data=st.data(), limit=st.integers(1, 9))
    def read_changes_behind_a_position(self, data: st.DataObject, limit: int) -> None:
        position = data.draw(st.sampled_from(self.positions))
        self.same(lambda store: self._changes(store, position, limit))

    @rule(after=st.none() | st.tuples(users, items), limit=st.integers(1, 9))
    def scan(self, after: tuple[str, str] | None, limit: int) -> None:
        self.same(lambda store: store.scan(after, limit))

    @rule(value=st.binary(max_size=5))
    def remember(self, value: bytes) -> None:
        self.same(lambda store: store.remember("note", value))

    @rule(repair=st.booleans())
    def verify(self, repair: bool) -> None:
        self.same(lambda store: store.verify(repair))

    @precondition(lambda self: self.tier.durable)
    @rule()
    def reopen(self) -> None:
        self.run(self.stores[0].close())
        # A store need not remember the times that ops without effect used up; so go on behind them.
        self.clock.now = self.latest = self.latest + SECOND
        self.stores[0] = self.run(self._open())

    @invariant()
    def the_state_is_the_same(self) -> None:
        if not hasattr(self, "stores"):
            return
        self.same(lambda store: everything(store, 100))
        self.same(lambda store: store.counts(ITEMS))
        self.same(lambda store: store.liked([(user, item) for user in USERS for item in ITEMS]))
        self.same(lambda store: store.recall("note"))
        stats = [self.run(store.stats()) for store in self.stores]
        seen = [(of.likes, of.oldest_change, of.position.offsets) for of in stats]
        assert seen[0] == seen[1]

    def run(self, coroutine):  # type: ignore[no-untyped-def]
        return self.runner.run(coroutine)

    def same(self, ask) -> Any:  # type: ignore[no-untyped-def]
        """Ask both; both must answer the same, or refuse with the same error."""
        answers = [self.run(self._answer(ask(store))) for store in self.stores]
        assert answers[0] == answers[1]
        return answers[0]

    async def _answer(self, coroutine) -> object:  # type: ignore[no-untyped-def]
        try:
            return await coroutine
        except LikewiseError as error:
            return type(error)

    async def _open(self) -> Store:
        return await open_store(self.tier.url(Path(self.folder.name)), clock=self.clock)

    async def _apply(self, store: Store, batch: list[Op]) -> list[Outcome]:
        outcomes = await store.apply(batch)
        for outcome in outcomes:
            outcome.epoch = 0  # see `open`
        return outcomes

    async def _changes(self, store: Store, after: Position | None, limit: int) -> list[object]:
        if after is not None:
            after = Position(self.epochs[self.stores.index(store)], after.offsets)
        changes = await all_changes(store, after, limit)
        return [(c.position.offsets, c.user_id, c.item_id, c.item_type, c.liked, c.at, c.liked_at) for c in changes]

    def _rules(self, store: Store) -> Likes:
        return Likes(store, clock=self.clock, limits=Limits(commit_ops_max=4))


def against_model(tier: Tier) -> type[AgainstModel]:
    return type(f"AgainstModel_{tier.name}", (AgainstModel,), {"tier": tier})


# Exclusion: memory is the model itself, and is not held to itself.
@pytest.mark.parametrize("named", [tier for tier in TIERS if tier.name != "memory"], ids=lambda tier: tier.name)
def test_a_tier_answers_as_the_model_does(named: Tier) -> None:
    run_state_machine_as_test(
        against_model(named),
        settings=settings(BOUNDED, max_examples=20, stateful_step_count=20),
    )


@pytest.mark.slow
@pytest.mark.parametrize("named", [tier for tier in TIERS if tier.name != "memory"], ids=lambda tier: tier.name)
def test_a_tier_answers_as_the_model_does_at_length(named: Tier) -> None:
    run_state_machine_as_test(
        against_model(named),
        settings=settings(BOUNDED, max_examples=120, stateful_step_count=50),
    )
