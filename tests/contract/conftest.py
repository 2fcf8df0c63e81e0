"""A fresh store of each tier for each test of the contract."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from likewise import Likes, Limits
from likewise.store import open_store
from likewise.store.contract import Store
from tests.clocks import SetClock
from tests.tiers import TIERS, Tier

Opener = Callable[[], Awaitable[Store]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on each tier.

    Exclusions: a test that takes `reopened` runs on the durable tiers only. Nothing of memory: outlives close, and
    that is its purpose.
    """
    if "tier" in metafunc.fixturenames:
        tiers = [tier for tier in TIERS if tier.durable or "reopened" not in metafunc.fixturenames]
        metafunc.parametrize("tier", tiers, ids=lambda tier: tier.name)


@pytest.fixture
def store(tier: Tier, folder: Path, clock: SetClock, runner: asyncio.Runner) -> Iterator[Store]:
    store = runner.run(open_store(tier.url(folder), clock=clock))
    yield store
    runner.run(store.close())


@pytest.fixture
def reopened(tier: Tier, folder: Path, clock: SetClock, store: Store, runner: asyncio.Runner) -> Iterator[Opener]:
    """`await reopened()` closes the store and opens it anew."""
    open_now = [store]

    async def reopen() -> Store:
        await open_now[-1].close()
        open_now.append(await open_store(tier.url(folder), clock=clock))
        return open_now[-1]

    yield reopen
    runner.run(open_now[-1].close())


@pytest.fixture
def likes(tier: Tier, folder: Path, clock: SetClock, runner: asyncio.Runner) -> Iterator[Likes]:
    """The rules over a fresh store; small commits, so that a few ops make several."""

    async def open_likes() -> Likes:
        return await Likes.open(tier.url(folder), clock=clock, limits=Limits(commit_ops_max=8))

    likes = runner.run(open_likes())
    yield likes
    runner.run(likes.close())
