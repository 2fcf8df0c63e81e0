"""Counts: exact, in the order asked, and one truth with the lists."""

import asyncio

import pytest

from likewise.errors import InvalidInput
from likewise.likes import Likes
from likewise.model import Count
from likewise.store.contract import Store
from tests.ops import all_likers, like, unlike


async def test_an_item_never_liked_has_no_likes_at_version_0(store: Store) -> None:
    assert await store.counts(["never"]) == [Count("never", 0, 0)]
    assert await store.counts([]) == []
    assert await store.liked([("u", "never")]) == [None]
    assert await store.liked([]) == []


async def test_counts_come_in_the_order_asked_with_duplicates(store: Store) -> None:
    await store.apply([like("a", "x"), like("b", "x"), like("a", "y")])
    asked = ["y", "never", "x", "y", "x"]
    assert [(count.item_id, count.count) for count in await store.counts(asked)] == [
        ("y", 1), ("never", 0), ("x", 2), ("y", 1), ("x", 2),
    ]  # fmt: skip
    assert [count.exact for count in await store.counts(asked)] == [True] * 5


async def test_statuses_come_in_the_order_asked_with_duplicates(store: Store) -> None:
    a, b = await store.apply([like("a", "x"), like("b", "y")])
    asked = [("b", "y"), ("a", "y"), ("a", "x"), ("b", "y"), ("a", "x")]
    assert await store.liked(asked) == [b.liked_at, None, a.liked_at, b.liked_at, a.liked_at]


async def test_many_counts_are_read_in_one_call(store: Store) -> None:
    items = [f"item-{n}" for n in range(1_000)]
    await store.apply([like("u", item) for item in items[::3]])
    assert [count.count for count in await store.counts(items)] == [int(n % 3 == 0) for n in range(1_000)]


async def test_an_item_unliked_by_all_keeps_its_version(store: Store) -> None:
    await store.apply([like("u", "i")])
    await store.apply([unlike("u", "i")])
    assert await store.counts(["i"]) == [Count("i", 0, 2)]


async def test_the_rules_give_the_same_counts_from_memory_and_from_the_store(likes: Likes) -> None:
    await asyncio.gather(*(likes.like(f"u{n}", "i") for n in range(20)), likes.like("u0", "j"))
    cached = await likes.counts(["i", "never", "j", "i"], user="u0")
    assert [(count.item_id, count.count, count.liked) for count in cached] == [
        ("i", 20, True), ("never", 0, False), ("j", 1, True), ("i", 20, True),
    ]  # fmt: skip
    likes.cache.clear()
    assert await likes.counts(["i", "never", "j", "i"], user="u0") == cached
    assert await likes.count("i") == (await likes.store.counts(["i"]))[0]
    assert [count.liked for count in await likes.counts(["i"])] == [None]


async def test_no_read_sees_a_count_without_its_likes(likes: Likes) -> None:
    async def write() -> None:
        for round_ in range(15):
            await asyncio.gather(*(likes.like(f"u{round_}-{n}", "i") for n in range(5)))
            await likes.unlike(f"u{round_}-0", "i")

    async def read() -> int:
        reads = 0
        while not writing.done():
            (summary,) = await likes.store.summaries(["i"], None, None, 100)
            assert summary.count == len(summary.shown)
            reads += 1
            await asyncio.sleep(0)
        return reads

    writing = asyncio.ensure_future(write())
    assert await read() > 0
    await writing
    assert (await likes.count("i")).count == len(await all_likers(likes.store, "i")) == 60


async def test_at_most_1000_counts_are_read_at_once(likes: Likes) -> None:
    assert len(await likes.counts([f"i{n}" for n in range(1_000)])) == 1_000
    with pytest.raises(InvalidInput):
        await likes.counts([f"i{n}" for n in range(1_001)])
