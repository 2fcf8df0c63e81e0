"""What `likewise bench` measures: short figures of this machine, in one process, without HTTP."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from ..likes import Likes
from ..model import Op

BATCH_OPS = 1_000
IN_FLIGHT = 4
ITEMS = 1_000
SEED = 42


class Figure(NamedTuple):
    """A measurement: what, how many a second, and what to know about it."""

    what: str
    per_second: float
    note: str


def measure(folder: Path | None, seconds: float) -> Iterator[Figure]:
    """All figures, one after the other, in a temporary folder inside `folder`."""
    with tempfile.TemporaryDirectory(prefix="likewise-bench-", dir=folder) as work:
        here = Path(work)
        yield Figure("durable commits (SQLite alone)", commits(here / "commits.db", seconds), "the disk's fsync")
        yield Figure("likes, one after the other", _run(here / "single.db", seconds, _single), "one commit each")
        yield Figure("likes, many users, one item", _run(here / "one.db", seconds, _hot), "batches of 1,000")
        yield Figure("likes, many users, many items", _run(here / "many.db", seconds, _spread), "batches of 1,000")
        yield Figure("counts, one by one", _run(here / "one.db", seconds, _count), "from memory")
        yield Figure("has this user liked it", _run(here / "many.db", seconds, _status), "from the file")


def commits(path: Path, seconds: float) -> float:
    """Transactions of one row a second, each on the disk before the next: what everything else builds on."""
    import apsw

    from ..store.sqlite.database import write_error

    connection: Any = apsw.Connection(str(path))
    try:
        for statement in ("pragma journal_mode = wal", "pragma synchronous = full", "create table t (n integer)"):
            connection.execute(statement).fetchall()
        done, began = 0, perf_counter()
        while perf_counter() < began + seconds:
            connection.execute("insert into t values (?)", (done,))
            done += 1
        return done / (perf_counter() - began)
    except apsw.Error as error:
        raise write_error(error) from error
    finally:
        connection.close()


Measurement = Callable[[Likes, float], Awaitable[int]]


def _run(path: Path, seconds: float, work: Measurement) -> float:
    async def measured() -> float:
        async with Likes.open(f"sqlite:{path}") as likes:
            began = perf_counter()
            done = await work(likes, began + seconds)
            return done / (perf_counter() - began)

    return asyncio.run(measured())


async def _single(likes: Likes, until: float) -> int:
    done = 0
    while perf_counter() < until:
        await likes.like(f"user:{done}", f"post:{done % ITEMS}")
        done += 1
    return done


async def _hot(likes: Likes, until: float) -> int:
    return await _bulk(likes, until, lambda n: Op(f"user:{n}", "post:1", True))


async def _spread(likes: Likes, until: float) -> int:
    chance = random.Random(SEED)
    return await _bulk(
        likes, until, lambda n: Op(f"user:{chance.getrandbits(40)}", f"post:{chance.getrandbits(17)}", True)
    )


async def _bulk(likes: Likes, until: float, op: Callable[[int], Op]) -> int:
    done = 0
    while perf_counter() < until:
        ops = [op(done + n) for n in range(BATCH_OPS * IN_FLIGHT)]
        await asyncio.gather(*[likes.apply(ops[n : n + BATCH_OPS]) for n in range(0, len(ops), BATCH_OPS)])
        done += len(ops)
    return done


async def _count(likes: Likes, until: float) -> int:
    done = 0
    while perf_counter() < until:
        for _ in range(100):
            await likes.count("post:1")
        done += 100
    return done


async def _status(likes: Likes, until: float) -> int:
    chance, done = random.Random(SEED), 0
    while perf_counter() < until:
        for _ in range(100):
            await likes.liked_at(f"user:{chance.getrandbits(40)}", f"post:{chance.getrandbits(17)}")
        done += 100
    return done
