"""Newest first is the order of acceptance, whatever the machine's clock does."""

import asyncio

import pytest

from likewise.likes import Likes
from likewise.store.contract import Store
from tests.clocks import DAY, SECOND, SetClock
from tests.ops import all_changes, all_likers, all_likes, like


@pytest.mark.parametrize(
    "steps",
    [
        [0] * 12,
        [-DAY] * 12,
        [DAY, -DAY] * 6,
        [-DAY, DAY] * 6,
        [-1] * 12,
        [1, -1, 0] * 4,
        [SECOND, -DAY, 0, 2 * DAY] * 3,
    ],
    ids=str,
)
async def test_lists_are_in_the_order_of_acceptance(store: Store, clock: SetClock, steps: list[int]) -> None:
    for n, step in enumerate(steps):
        await store.apply([like("u", f"{n:02}a"), like("u", f"{n:02}b"), like(f"u{n:02}", "i")])
        clock.step(step)
    expected = [f"{n:02}{half}" for n in range(len(steps)) for half in "ab"]
    assert [row.item_id for row in await all_likes(store, "u")] == expected[::-1]
    assert [row.user_id for row in await all_likers(store, "i")] == [f"u{n:02}" for n in reversed(range(len(steps)))]
    times = [change.at for change in await all_changes(store)]
    assert times == sorted(set(times))


async def test_concurrent_likes_are_listed_as_they_were_answered(likes: Likes, clock: SetClock) -> None:
    answered: list[str] = []

    async def one(user: str) -> None:
        await likes.like(user, "i")
        clock.step(-SECOND)
        answered.append(user)

    await asyncio.gather(*(one(f"u{n}") for n in range(40)))
    assert [row.user_id async for row in likes.likers_of("i")] == answered[::-1]


async def test_a_clock_that_goes_forward_is_followed(store: Store, clock: SetClock) -> None:
    (first,) = await store.apply([like("u", "a")])
    clock.step(DAY)
    (second,) = await store.apply([like("u", "b")])
    assert (second.liked_at or 0) - (first.liked_at or 0) == DAY
