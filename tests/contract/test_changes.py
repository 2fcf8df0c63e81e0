"""The change stream: every transition once, in order, without a gap, and the positions that tell how far it goes."""

import asyncio

import pytest

from likewise.errors import InvalidInput, PositionExpired
from likewise.likes import Likes
from likewise.model import Change, Position
from likewise.store.contract import Store
from tests.clocks import DAY, NEW_YEAR, SECOND, SetClock
from tests.ops import all_changes, everything, like, state_after, unlike


def standing(position: Position, by: int = 0) -> Position:
    """The same position, `by` ops further on."""
    return Position(position.epoch, tuple((shard, offset + by) for shard, offset in position.offsets))


async def test_a_store_without_likes_has_no_changes(store: Store) -> None:
    changes = await store.changes(None, 10)
    assert (changes.items, changes.has_more) == ([], False)
    assert await store.changes(changes.position, 10) == changes


async def test_each_transition_is_one_change(store: Store) -> None:
    outcomes = await store.apply([like("u", "i", "post"), like("u", "i"), unlike("u", "i"), unlike("u", "i")])
    on, off = (await store.changes(None, 10)).items
    assert on == Change(outcomes[0].position or on.position, "u", "i", "post", True, NEW_YEAR, NEW_YEAR)
    assert off == Change(outcomes[2].position or off.position, "u", "i", "post", False, NEW_YEAR + 2, None)
    assert on.position != off.position


@pytest.mark.parametrize("limit", [1, 2, 5, 29, 30, 31, 1_000])
async def test_the_stream_is_the_same_in_parts_of_any_size(store: Store, limit: int) -> None:
    await store.apply([like(f"u{n % 7}", f"i{n % 5}") for n in range(30)] + [unlike("u0", f"i{n}") for n in range(5)])
    whole = (await store.changes(None, 1_000)).items
    assert await all_changes(store, None, limit) == whole
    assert await all_changes(store, whole[3].position, limit) == whole[4:]


async def test_has_more_is_true_only_when_more_follows(store: Store) -> None:
    await store.apply([like("u", f"i{n}") for n in range(4)])
    assert (await store.changes(None, 3)).has_more
    assert not (await store.changes(None, 4)).has_more
    end = (await store.changes(None, 4)).position
    assert await store.changes(end, 4) == type(await store.changes(end, 4))([], end, False)


async def test_the_stream_alternates_per_pair_and_folds_to_the_final_state(store: Store) -> None:
    for round_ in range(20):
        await store.apply([
            (like if (n * 7 + round_ * 3) % 5 < 3 else unlike)(f"u{n % 3}", f"i{n % 4}") for n in range(round_ % 6 + 1)
        ])  # fmt: skip
    state = state_after(await all_changes(store))
    assert state == {(row.user_id, row.item_id): (row.liked_at, row.item_type) for row in await everything(store)}


async def test_a_follower_under_load_meets_every_change_once(likes: Likes) -> None:
    async def write(user: int) -> None:
        for n in range(8):
            await likes.like(f"u{user}", f"i{n % 3}")
            await likes.unlike(f"u{user}", f"i{n % 3}")

    writing = asyncio.gather(*(write(user) for user in range(10)))
    met: list[Change] = []
    position: Position | None = None
    while True:
        done = writing.done()
        part = await likes.changes(position, 9)
        met += part.items
        position = part.position
        if done and not part.has_more:
            break
        await asyncio.sleep(0)
    assert len(met) == 160
    assert state_after(met) == {}


async def test_every_answer_gives_a_position_that_reads_reach(store: Store) -> None:
    outcomes = await store.apply([like("u", "i"), like("u", "i"), unlike("v", "i")])
    for outcome in outcomes:
        assert outcome.position is not None
        await store.reach(outcome.position)
        await store.reach(Position.parse(str(outcome.position)))
        assert (await store.changes(outcome.position, 10)).items == []
    await store.reach(Position.parse(str((await store.stats()).position)))


async def test_a_position_from_the_future_is_refused(store: Store) -> None:
    (outcome,) = await store.apply([like("u", "i")])
    assert outcome.position is not None
    future = standing(outcome.position, 1)
    with pytest.raises(InvalidInput):
        await store.reach(future)
    with pytest.raises(InvalidInput):
        await store.changes(future, 10)


async def test_a_position_of_another_store_is_refused(store: Store) -> None:
    (outcome,) = await store.apply([like("u", "i")])
    assert outcome.position is not None
    for foreign in (
        Position(outcome.position.epoch + 1, outcome.position.offsets),
        Position(outcome.position.epoch, (*outcome.position.offsets, (999, 1))),
    ):
        with pytest.raises(InvalidInput):
            await store.reach(foreign)
        with pytest.raises(InvalidInput):
            await store.changes(foreign, 10)


async def test_changes_expire_after_their_retention_but_never_the_newest(store: Store, clock: SetClock) -> None:
    first = (await store.apply([like("u", "a"), like("u", "b"), like("u", "c")]))[0].position
    assert first is not None
    clock.step(7 * DAY)
    assert await store.expire() == 0
    clock.step(SECOND)
    assert await store.expire() == 2
    assert await store.expire() == 0
    (newest,) = (await store.changes(None, 10)).items
    assert newest.item_id == "c"
    assert (await store.stats()).oldest_change == 3
    assert [row.item_id for row in await everything(store)] == ["a", "b", "c"]


async def test_changes_behind_an_expired_position_are_refused_and_not_skipped(store: Store, clock: SetClock) -> None:
    positions = [outcome.position for outcome in await store.apply([like("u", f"i{n}") for n in range(4)])]
    zero = standing(positions[0], -1)  # pyright: ignore[reportArgumentType]
    clock.step(8 * DAY)
    assert await store.expire() == 3
    for expired in (zero, *positions[:2]):
        with pytest.raises(PositionExpired):
            await store.changes(expired, 10)
    assert [change.item_id for change in (await store.changes(positions[2], 10)).items] == ["i3"]
    assert (await store.changes(positions[3], 10)).items == []


async def test_expiry_drops_only_what_is_old(store: Store, clock: SetClock) -> None:
    for n in range(5):
        await store.apply([like("u", f"i{n}")])
        clock.step(2 * DAY)
    assert await store.expire() == 2  # made 10 and 8 days ago; the third is 6 days old
    assert [change.item_id for change in await all_changes(store)] == ["i2", "i3", "i4"]
    (outcome,) = await store.apply([like("u", "i5")])
    assert outcome.offset == 6


async def test_the_rules_expire_everything_that_is_due(likes: Likes, clock: SetClock) -> None:
    await likes.apply([like("u", f"i{n}") for n in range(40)])
    clock.step(8 * DAY)
    assert await likes.expire() == 39
    assert await likes.expire() == 0


@pytest.mark.slow
async def test_one_expiry_does_a_bounded_amount_of_work(store: Store, clock: SetClock) -> None:
    for start in range(0, 12_000, 1_000):
        await store.apply([like("u", f"i{n}") for n in range(start, start + 1_000)])
    clock.step(8 * DAY)
    dropped = [await store.expire() for _ in range(4)]
    assert max(dropped) <= 5_000
    assert sum(dropped) == 11_999
    assert [change.item_id for change in await all_changes(store)] == ["i11999"]


async def test_limits_outside_1_to_1000_are_refused(likes: Likes) -> None:
    for limit in (0, -1, 1_001):
        with pytest.raises(InvalidInput):
            await likes.changes(limit=limit)
