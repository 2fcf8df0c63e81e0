"""Summaries: "liked by A, B and 98 others", from one moment."""

import asyncio

import pytest

from likewise.errors import InvalidInput
from likewise.likes import Likes
from likewise.store.contract import Store
from tests.ops import like, unlike


async def test_a_summary_shows_the_newest_likers_and_counts_the_others(store: Store) -> None:
    await store.apply([like(f"u{n}", "i", "post") for n in range(10)])
    (summary,) = await store.summaries(["i"], "u3", None, 3)
    assert (summary.item_id, summary.count, summary.liked, summary.others) == ("i", 10, True, 7)
    assert [(row.user_id, row.item_id) for row in summary.shown] == [("u9", "i"), ("u8", "i"), ("u7", "i")]


async def test_a_summary_may_show_only_friends(store: Store) -> None:
    await store.apply([like(f"u{n}", "i") for n in range(10)])
    (summary,) = await store.summaries(["i"], None, ["u2", "u5", "stranger", "u7"], 2)
    assert ([row.user_id for row in summary.shown], summary.others, summary.liked) == (["u7", "u5"], 8, None)


async def test_summaries_come_in_the_order_asked(store: Store) -> None:
    await store.apply([like("a", "x"), like("b", "x"), like("a", "y")])
    summaries = await store.summaries(["y", "never", "x", "y"], "b", None, 1)
    assert [(s.item_id, s.count, s.liked, len(s.shown)) for s in summaries] == [
        ("y", 1, False, 1), ("never", 0, False, 0), ("x", 2, True, 1), ("y", 1, False, 1),
    ]  # fmt: skip
    assert await store.summaries([], "b", None, 1) == []


async def test_a_summary_may_show_nobody(store: Store) -> None:
    await store.apply([like("a", "x")])
    (summary,) = await store.summaries(["x"], None, None, 0)
    assert (summary.count, summary.shown, summary.others) == (1, [], 1)


async def test_a_summary_forgets_who_unliked(store: Store) -> None:
    await store.apply([like("a", "x"), like("b", "x")])
    await store.apply([unlike("b", "x")])
    (summary,) = await store.summaries(["x"], "b", ["a", "b"], 3)
    assert (summary.count, summary.liked, [row.user_id for row in summary.shown]) == (1, False, ["a"])


@pytest.mark.slow
async def test_no_summary_contradicts_itself_or_its_neighbours_while_likes_are_written(store: Store) -> None:
    """Each batch moves one user on from one item to the next, and two users like and unlike in turns: wherever a
    commit falls, each count is the number of likers shown, and as many like something as ever."""
    users, items = [f"u{n:02}" for n in range(30)], ["a", "b", "c"]
    await store.apply([like(user, "a") for user in users] + [like("odd", "d")])
    moved = 0

    async def write() -> None:
        nonlocal moved
        for n in range(100):
            user, here, there = users[n % 30], items[n // 30 % 3], items[(n // 30 + 1) % 3]
            comes, goes = ("odd", "even") if n % 2 else ("even", "odd")
            await store.apply([unlike(user, here), like(user, there), like(comes, "d"), unlike(goes, "d")])
            moved = n + 1
            await asyncio.sleep(0)

    writing = asyncio.ensure_future(write())
    met: set[int] = set()
    while not writing.done():
        for user in ("u07", "even"):
            found = await store.summaries([*items, "d"], user, None, 100)
            for summary in found:
                shown = [row.user_id for row in summary.shown]
                assert (summary.count, summary.others) == (len(shown), 0)
                assert summary.liked is (user in shown)
            assert sum(summary.count for summary in found[:3]) == 30
            assert sorted(row.user_id for summary in found[:3] for row in summary.shown) == users
            assert found[3].count == 1
        met.add(moved)
        await asyncio.sleep(0)
    await writing
    assert len(met) > 5, "the summaries were read while likes were written"


async def test_the_rules_bound_what_is_asked(likes: Likes) -> None:
    with pytest.raises(InvalidInput):
        await likes.summaries([f"i{n}" for n in range(101)])
    for show in (-1, 101):
        with pytest.raises(InvalidInput):
            await likes.summaries(["i"], show=show)
    with pytest.raises(InvalidInput):
        await likes.summaries(["i"], among=[f"u{n}" for n in range(101)])
