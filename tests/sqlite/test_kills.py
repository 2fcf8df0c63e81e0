"""Killed with SIGKILL under load, again and again: no answered op is lost, nothing is invented, nothing drifts."""

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import apsw
import pytest

from likewise.model import Op
from likewise.store import open_store
from tests.sqlite.history import History
from tests.sqlite.load import read_log

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


def kill_under_load(url: str, log: Path, seed: int, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.sqlite.load", url, str(log), str(seed)]
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


async def test_a_few_kills_lose_nothing_that_was_answered(url: str, folder: Path) -> None:
    history = await survive(url, folder, 5)
    assert history.answers > 100


@pytest.mark.slow
async def test_a_hundred_kills_lose_nothing_that_was_answered(url: str, folder: Path) -> None:
    history = await survive(url, folder, 100)
    assert history.answers > 10_000


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("delete from {} where user_id = 'u1'", "a like lost"),
        ("insert into user_likes values ('u1', 0, 'i6', null, 5), ('u1', ~5, 'i6', null, 5)", "invented"),
        ("delete from changes where seq = 2", "a gap"),
        ("delete from changes where seq > 1", "fold to another state"),
        ("update item_likes set likes = 7 where rank = 0", "is not the number of its likers"),
    ],
)
async def test_the_check_finds_what_a_crash_could_do(url: str, file: Path, sql: str, found: str) -> None:
    history = History()
    store = await open_store(url)
    for user, item, liked in [("u1", "i1", True), ("u2", "i1", True), ("u2", "i2", True), ("u2", "i1", False)]:
        history.ask((user, item), liked)
        await store.apply([Op(user, item, liked)])
        history.answer((user, item), liked)
    await store.close()
    connection = apsw.Connection(str(file))
    for table in ("user_likes", "item_likes"):
        connection.execute(sql.format(table))
        if "{}" not in sql:
            break
    connection.close()
    store = await open_store(url)
    assert any(found in problem for problem in await history.problems(store))
    await store.close()


async def test_the_check_takes_an_unanswered_op_either_way(url: str) -> None:
    store = await open_store(url)
    history = History()
    history.ask(("u1", "happened"), True)
    history.ask(("u1", "did not"), True)
    await store.apply([Op("u1", "happened", True)])
    assert await history.problems(store) == []
    assert history.settled == {("u1", "happened"): True, ("u1", "did not"): False}
    await store.close()
