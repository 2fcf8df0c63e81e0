"""The rules over a store: strict calls, forgetting, the cache, the hot list, closing."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from likewise import Likes, Limits
from likewise.errors import AlreadyLiked, InvalidInput, NotLiked, StoreFailed, StrictConflict
from likewise.model import Count, Op, Outcome
from likewise.store.memory import MemoryStore
from tests.clocks import NEW_YEAR, SetClock
from tests.ops import like


async def test_a_strict_like_of_what_is_liked_is_a_conflict_that_tells_the_state(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        await likes.like("v", "i")
        assert (await likes.like("u", "i", strict=True)).changed
        with pytest.raises(AlreadyLiked) as caught:
            await likes.like("u", "i", strict=True)
        assert (caught.value.liked, caught.value.count, caught.value.liked_at) == (True, 2, NEW_YEAR + 1)
        with pytest.raises(NotLiked) as missing:
            await likes.unlike("w", "i", strict=True)
        assert (missing.value.liked, missing.value.count, missing.value.liked_at) == (False, 2, None)
        assert (await likes.unlike("u", "i", strict=True)).count == 1


async def test_of_concurrent_strict_likes_exactly_one_succeeds(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        calls = [likes.like("u", "i", strict=True) for _ in range(30)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, Outcome) for result in results) == 1
        assert sum(isinstance(result, StrictConflict) for result in results) == 29


async def test_an_unlike_is_never_answered_before_the_like_it_follows(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        results = await asyncio.gather(likes.like("u", "i"), likes.unlike("u", "i"), likes.like("u", "i"))
        assert [(result.changed, result.count) for result in results] == [(True, 1), (True, 0), (True, 1)]


async def test_counts_are_cached_and_written_through(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        assert likes.cached_count("i") is None
        assert (await likes.count("i")).count == 0
        for n in range(5):
            await likes.like(f"u{n}", "i")
            cached = likes.cached_count("i")
            assert cached == (await likes.store.counts(["i"]))[0]
        outcome = await likes.unlike("u0", "i")
        assert likes.cached_count("i") == Count("i", 4, outcome.version)


@pytest.mark.parametrize("cache_items_max", [2, 3, 10])
async def test_counts_are_exact_however_small_the_cache_is(folder: Path, clock: SetClock, cache_items_max: int) -> None:
    limits = Limits(commit_ops_max=3, cache_items_max=cache_items_max)
    async with Likes.open(f"sqlite:{folder}/likes.db", clock=clock, limits=limits) as likes:
        expected: dict[str, int] = dict.fromkeys((f"i{n}" for n in range(6)), 0)

        async def write(user: int) -> None:
            for n in range(20):
                item = f"i{(user * 5 + n) % 6}"
                outcome = await (likes.like if n % 3 else likes.unlike)(f"u{user}-{n // 6}", item)
                expected[item] += (1 if n % 3 else -1) if outcome.changed else 0

        seen: dict[str, int] = {}

        async def read() -> None:
            for n in range(60):
                (count,) = await likes.counts([f"i{n % 6}"])
                assert count.version >= seen.get(count.item_id, 0), "a read never goes back"
                seen[count.item_id] = count.version

        await asyncio.gather(*(write(user) for user in range(8)), *(read() for _ in range(4)))
        for item, n in expected.items():
            assert (await likes.count(item)).count == n
            assert (await likes.store.counts([item]))[0].count == n


async def test_trending_is_what_was_liked_lately(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        for n in range(9):
            await likes.like(f"u{n}", f"i{n % 3 * (n // 3)}")
            await likes.like(f"u{n}", "hot")
        await likes.like("u0", "hot")  # changes nothing, so counts nothing
        await likes.unlike("u0", "hot")
        assert likes.trending(1)[0].item_id == "hot"
        for limit in (0, 101):
            with pytest.raises(InvalidInput):
                likes.trending(limit)


async def test_the_counts_of_the_hot_list_are_in_memory_after_a_restart(folder: Path, clock: SetClock) -> None:
    url = f"sqlite:{folder}/likes.db"
    async with Likes.open(url, clock=clock) as likes:
        for n in range(5):
            await likes.like(f"u{n}", "hot")
        await likes.save_hot_list()
    async with Likes.open(url, clock=clock) as likes:
        await likes.like("u", "of a moment")  # a process of a moment does not overwrite the list
    async with Likes.open(url, clock=clock) as likes:
        assert (likes.cached_count("hot") or await likes.count("none")).count == 5
        assert likes.cached_count("never liked") is None
        assert (await likes.like("u9", "hot")).count == 6
        assert (await likes.count("hot")).count == 6


async def test_the_hot_list_is_kept_as_plain_json(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        await likes.save_hot_list()
        assert await likes.store.recall("hot") is None
        await likes.like("u", "a")
        await likes.like("u", "b")
        await likes.like("v", "b")
        await likes.save_hot_list()
        assert msgspec.json.decode(await likes.store.recall("hot") or b"") == ["b", "a"]


async def test_forgetting_a_user_reaches_beyond_pages_and_commits(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock, limits=Limits(commit_ops_max=7)) as likes:
        await likes.apply(like(user, f"i{n}", None, n % 5) for user in ("u", "v") for n in range(230))
        assert await likes.forget_user("u") == 230
        assert (await likes.stats()).likes == 230
        assert [row async for row in likes.likes_of("u")] == []
        assert {count.count for count in await likes.counts([f"i{n}" for n in range(230)])} == {1}
        assert await likes.forget_item("i0") == 1


async def test_what_happened_is_measured(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        await likes.apply([like("u", "i"), like("u", "i"), Op("u", "i", False), Op("", "i", True)])
        measures = likes.measures
        assert (measures.likes, measures.unlikes, measures.unchanged, measures.refused) == (1, 1, 1, 1)
        assert (measures.commit_ops.total, measures.commit_ops.sum) == (1, 4)
        await likes.count("i")
        await likes.count("never")
        assert (measures.cache_hits, measures.cache_misses) == (1, 1)


class Failing(MemoryStore):
    """A store whose writes fail while told so."""

    failing = False

    async def apply(self, ops):  # type: ignore[no-untyped-def]
        if self.failing:
            raise StoreFailed("told so")
        return await super().apply(ops)

    async def remember(self, key: str, value: bytes) -> None:
        if self.failing:
            raise StoreFailed("told so")
        await super().remember(key, value)


async def test_a_write_that_failed_leaves_counts_and_trending_as_they_were(clock: SetClock) -> None:
    store = Failing(clock=clock)
    likes = Likes(store, clock=clock)
    await likes.like("u", "i")
    store.failing = True
    with pytest.raises(StoreFailed):
        await likes.like("v", "i")
    assert (await likes.count("i")).count == 1
    assert likes.measures.likes == 1
    store.failing = False
    assert (await likes.like("v", "i")).count == 2
    await likes.close()


async def test_likes_close_also_when_the_hot_list_cannot_be_kept(clock: SetClock) -> None:
    store = Failing(clock=clock)
    likes = Likes(store, clock=clock)
    await likes.start()
    await likes.like("u", "i")
    store.failing = True
    await likes.close()
    assert store._closed


async def test_an_application_may_await_open_or_use_async_with(clock: SetClock) -> None:
    likes = await Likes.open("memory:", clock=clock)
    await likes.like("u", "i")
    await likes.close()
    async with Likes.open("memory:", clock=clock) as fresh:
        assert (await fresh.count("i")).count == 0


async def test_a_count_in_memory_is_no_older_than_the_position_reached(folder: Path, clock: SetClock) -> None:
    """The store shows a commit before it is written through to the cache: a reader of changes could be that fast."""
    async with Likes.open(f"sqlite:{folder}/likes.db", clock=clock) as likes:
        for n in range(50):
            assert (await likes.count("i")).count == n
            writing = asyncio.ensure_future(likes.like(f"u{n}", "i"))
            while not (await likes.changes(limit=1_000)).items[n:]:  # noqa: ASYNC110 - only the store can tell
                await asyncio.sleep(0)
            await likes.reach((await likes.changes(limit=1_000)).position)
            assert (await likes.count("i")).count == n + 1
            await writing


async def test_an_old_count_never_outlives_a_newer_one_that_was_dropped(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock, limits=Limits(cache_items_max=2)) as likes:
        for n in range(50):
            reading = asyncio.ensure_future(likes.count("i"))
            await asyncio.sleep(0)
            await likes.like(f"u{n}", "i")
            await asyncio.gather(*(likes.like("u", f"other{n}-{k}") for k in range(4)))
            await reading
            assert (await likes.count("i")).count == n + 1


async def test_many_reads_at_once_are_no_overload(clock: SetClock) -> None:
    async with Likes.open("memory:", clock=clock) as likes:
        pages = await asyncio.gather(*(likes.counts([f"{n}-{k}" for k in range(1_000)]) for n in range(40)))
        assert sum(len(page) for page in pages) == 40_000
