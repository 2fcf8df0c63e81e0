"""Killed with SIGKILL under load, again and again: no answered op is lost, nothing is invented, nothing drifts."""

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from likewise.model import Op
from likewise.store import open_store
from tests.crash.history import History
from tests.crash.load import read_log
from tests.tiers import TIERS, Tier

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

durable = pytest.mark.parametrize("tier", [tier for tier in TIERS if tier.durable], ids=lambda tier: tier.name)


def kill_under_load(url: str, log: Path, seed: int, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.crash.load", url, str(log), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            process.wait(seconds)  # it never ends by itself: this is how long it may live
        except subprocess.TimeoutExpired:
            process.kill()
            return
        raise AssertionError("the load ended by itself")


async def survive(url: str, folder: Path, kills: int) -> History:
    random, history = Random(1995), History()
    for n in range(kills):
        log = folder / f"log-{n}"
        # Often before the first commit is over, and mostly in the middle of many.
        await asyncio.to_thread(kill_under_load, url, log, n, random.choice([0.0, 0.01, 0.05, 0.1, 0.2, 0.3]))
        read_log(str(log), history)
        store = await open_store(url)
        assert await history.problems(store) == [], f"after kill {n}"
        await store.close()
    return history


@durable
async def test_a_few_kills_lose_nothing_that_was_answered(tier: Tier, folder: Path) -> None:
    history = await survive(tier.url(folder), folder, 5)
    assert history.answers > 100


@durable
@pytest.mark.slow
async def test_a_hundred_kills_lose_nothing_that_was_answered(tier: Tier, folder: Path) -> None:
    history = await survive(tier.url(folder), folder, 100)
    assert history.answers > 10_000


@durable
async def test_the_check_takes_an_unanswered_op_either_way(tier: Tier, folder: Path) -> None:
    store = await open_store(tier.url(folder))
    history = History()
    history.ask(("u1", "happened"), True)
    history.ask(("u1", "did not"), True)
    await store.apply([Op("u1", "happened", True)])
    assert await history.problems(store) == []
    assert history.settled == {("u1", "happened"): True, ("u1", "did not"): False}
    await store.close()
