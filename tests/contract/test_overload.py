"""Too much at once: refused at once, and what was accepted is kept."""

import asyncio
from pathlib import Path

import pytest

from likewise import Likes, Limits
from likewise.errors import Overloaded
from likewise.model import Outcome
from tests.clocks import SetClock
from tests.ops import like
from tests.tiers import Tier


async def test_past_the_limit_ops_are_refused_and_nothing_accepted_is_lost(
    tier: Tier, folder: Path, clock: SetClock
) -> None:
    limits = Limits(commit_ops_max=10, queue_ops_max=50)
    async with Likes.open(tier.url(folder), clock=clock, limits=limits) as likes:
        calls = [likes.like(f"u{n}", "i") for n in range(500)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        answered = [n for n, result in enumerate(results) if isinstance(result, Outcome)]
        refused = [result for result in results if isinstance(result, BaseException)]
        assert len(answered) >= 50
        assert refused
        assert all(isinstance(error, Overloaded) and error.retry_after_s > 0 for error in refused)
        assert [row.user_id async for row in likes.likers_of("i")] == [f"u{n}" for n in reversed(answered)]
        assert (await likes.count("i")).count == len(answered)
        assert (await likes.like("later", "i")).count == len(answered) + 1


async def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits(
    tier: Tier, folder: Path, clock: SetClock
) -> None:
    async with Likes.open(tier.url(folder), clock=clock, limits=Limits(commit_ops_max=100, queue_ops_max=10)) as likes:
        outcomes = await likes.apply([like(f"u{n}", "i") for n in range(250)])
        assert [outcome.count for outcome in outcomes] == list(range(1, 251))


async def test_closing_commits_what_was_accepted(tier: Tier, folder: Path, clock: SetClock) -> None:
    likes = await Likes.open(tier.url(folder), clock=clock, limits=Limits(commit_ops_max=3))
    calls = [asyncio.ensure_future(likes.like(f"u{n}", "i")) for n in range(20)]
    await asyncio.sleep(0)
    await likes.close()
    assert [outcome.count for outcome in await asyncio.gather(*calls)] == list(range(1, 21))


async def test_a_caller_that_gives_up_harms_no_one(likes: Likes) -> None:
    calls = [asyncio.ensure_future(likes.like(f"u{n}", "i")) for n in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [n % 2 == 0 for n in range(20)]
    await likes.like("last", "i")
    likers = {row.user_id async for row in likes.likers_of("i")}
    assert {f"u{n}" for n in range(1, 20, 2)} < likers
    assert (await likes.count("i")).count == len(likers)
    assert (await likes.verify()).drifted == 0


@pytest.mark.parametrize("n", [1, 7, 8, 9, 25])
async def test_a_batch_of_any_size_is_answered_in_order(likes: Likes, n: int) -> None:
    outcomes = await likes.apply(like(f"u{k}", "i") for k in range(n))
    assert [outcome.count for outcome in outcomes] == list(range(1, n + 1))
