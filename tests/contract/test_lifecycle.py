"""Closing and opening again."""

from collections.abc import Awaitable, Callable

import pytest

from likewise import Likes
from likewise.errors import Closed
from likewise.model import Position
from likewise.store.contract import Store
from tests.clocks import DAY, SetClock
from tests.ops import all_changes, all_likers, all_likes, everything, like, unlike

Opener = Callable[[], Awaitable[Store]]


async def test_closing_twice_is_safe_and_calls_afterwards_raise_closed(store: Store) -> None:
    await store.apply([like("u", "i")])
    await store.close()
    await store.close()
    calls = [
        lambda: store.apply([like("u", "i")]),
        lambda: store.apply([]),
        lambda: store.counts(["i"]),
        lambda: store.liked([("u", "i")]),
        lambda: store.likes_of("u", 5),
        lambda: store.likes_of("u", 5, None, "post"),
        lambda: store.likers_of("i", 5),
        lambda: store.likers_of("i", 5, None, ["u"]),
        lambda: store.summaries(["i"], "u", None, 3),
        lambda: store.changes(None, 5),
        lambda: store.reach(Position(1, ((0, 0),))),
        lambda: store.scan(None, 5),
        lambda: store.stats(),
        lambda: store.ready(),
        lambda: store.expire(),
        lambda: store.verify(),
        lambda: store.verify(repair=True),
        lambda: store.remember("k", b""),
        lambda: store.recall("k"),
    ]
    for call in calls:
        with pytest.raises(Closed):
            await call()


async def test_the_rules_raise_closed_after_close_also_for_what_they_held_in_memory(likes: Likes) -> None:
    await likes.like("u", "i")
    await likes.close()
    await likes.close()
    calls = [
        lambda: likes.like("u", "i"),
        lambda: likes.apply([like("u", "i")]),
        lambda: likes.count("i"),
        lambda: likes.counts(["i"]),
        lambda: likes.counts(["i"], user="u"),
        lambda: likes.liked_at("u", "i"),
        lambda: likes.likes_page("u"),
        lambda: likes.summaries(["i"]),
        lambda: likes.stats(),
        lambda: likes.ready(),
        lambda: likes.verify(),
    ]
    for call in calls:
        with pytest.raises(Closed):
            await call()


async def test_opening_again_keeps_everything(store: Store, reopened: Opener) -> None:
    await store.apply([like(f"u{n % 5}", f"i{n % 7}", "post" if n % 2 else None) for n in range(30)])
    await store.apply([unlike("u1", "i1"), unlike("u2", "i2")])
    await store.remember("hot", b"note")

    async def all_of(store: Store) -> list[object]:
        return [
            await everything(store),
            await all_changes(store),
            [await all_likes(store, f"u{n}") for n in range(5)],
            [await all_likers(store, f"i{n}") for n in range(7)],
            await store.counts([f"i{n}" for n in range(8)]),
            await store.recall("hot"),
            (await store.stats()).likes,
            (await store.stats()).position,
        ]

    before = await all_of(store)
    store = await reopened()
    assert await all_of(store) == before
    assert (await store.verify()).drifted == 0


async def test_opening_again_continues_the_order(store: Store, reopened: Opener, clock: SetClock) -> None:
    (first,) = await store.apply([like("u", "i")])
    store = await reopened()
    again, second = await store.apply([like("u", "i"), like("u", "j")])
    assert (again.changed, again.liked_at, again.offset) == (False, first.liked_at, first.offset)
    assert (second.epoch, second.shard, second.offset) == (first.epoch, first.shard, (first.offset or 0) + 1)
    assert first.position is not None
    await store.reach(first.position)
    assert [change.item_id for change in (await store.changes(first.position, 5)).items] == ["j"]


@pytest.mark.parametrize("step", [-DAY, DAY, 0])
async def test_times_increase_across_a_restart_whatever_the_clock_does(
    store: Store, reopened: Opener, clock: SetClock, step: int
) -> None:
    await store.apply([like("u", f"a{n}") for n in range(5)])
    clock.step(step)
    store = await reopened()
    await store.apply([like("u", f"b{n}") for n in range(5)])
    assert [row.item_id for row in await all_likes(store, "u")] == [
        f"{when}{n}" for when in "ba" for n in range(4, -1, -1)
    ]
    times = [change.at for change in await all_changes(store)]
    assert times == sorted(set(times))


async def test_the_order_continues_also_after_all_changes_expired(
    store: Store, reopened: Opener, clock: SetClock
) -> None:
    await store.apply([like("u", f"a{n}") for n in range(5)])
    clock.step(30 * DAY)
    assert await store.expire() == 4
    clock.step(-60 * DAY)
    store = await reopened()
    (outcome,) = await store.apply([like("u", "b")])
    assert outcome.offset == 6
    assert (await store.likes_of("u", 1)).items[0].item_id == "b"


async def test_reopening_many_times_loses_nothing(store: Store, reopened: Opener) -> None:
    for n in range(8):
        outcomes = await store.apply([like(f"u{n}", "i"), unlike(f"u{n - 1}", "i"), like(f"u{n}", f"i{n}")])
        assert outcomes[0].count == 1 + (n > 0)
        store = await reopened()
        assert len(await everything(store)) == n + 2
        assert (await store.verify()).drifted == 0
