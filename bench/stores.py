"""Stores to measure on: empty ones, and copies of filled ones.

The fill makes likes of random users and random items, the hard case, from one seed; a smaller filled store is a
prefix of a larger one, so the same reads can be sent to both.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from statistics import quantiles

import msgspec

from likewise import Likes
from likewise.likes import in_slices
from likewise.model import Op

from . import ids, machine
from .peers import Bare, Pair
from .rows import Step
from .tiers import Sizes, Tier

SEED = 20_240_229
FILL_ITEMS = 1_000_000
BATCH = 1_000
STEP_LIKES = 100_000
STEP_PART = 4
"""A step of the fill's curve adds a quarter to what is there: even steps on a logarithmic scale."""

UNCHANGING = ".sst"
"""RocksDB's tables: once written, they are only ever deleted."""


class Filled(msgspec.Struct, frozen=True):
    """The mark of a complete fill: how it went."""

    likes: int
    items: int
    curve: list[Step]


class Stores:
    """The folder of one tier's stores, and the fill: `sizes` are the numbers of likes it has copies of."""

    def __init__(self, folder: Path, tier: Tier, sizes: Sizes) -> None:
        self.tier = tier
        self.sizes = sizes
        self.items = min(FILL_ITEMS, max(1_000, sizes[-1] // 10))
        self.curve: list[Step] = []
        self._folder = folder / tier.name

    def url(self, folder: Path) -> str:
        """The URL of the store in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        return self.tier.url(folder)

    def bare(self, folder: Path) -> Bare:
        """The bare driver on the store in a folder."""
        return self.tier.bare(folder)

    def empty(self, name: str) -> Path:
        """A folder for a new store."""
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def copy(self, likes: int, name: str) -> Path:
        """A folder with a copy of the store of so many likes, written out so that no figure pays for that later."""
        folder = self.empty(name)
        _copy(self._folder / str(likes), folder)
        os.sync()
        return folder

    def clear(self) -> None:
        """Remove everything but the filled stores."""
        kept = {str(size) for size in self.sizes}
        for folder in self._folder.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder)

    def pairs(self, n: int = 100_000) -> list[Pair]:
        """Likes that stand in every size, in random order."""
        pairs = list(islice(likes_of_fill(self.items), min(n, self.sizes[0])))
        Random(SEED).shuffle(pairs)
        return pairs

    def written_per_like(self, likes: int) -> float:
        """Bytes that the fill, up to so many likes, had sent towards the disk for each of them."""
        written = done = 0
        for step in self.curve:
            if step.likes <= likes:
                written += step.written_bytes_per_like * (step.likes - done)
                done = step.likes
        return written / done

    def prepare(self, likes: int, *, reuse: bool) -> None:
        """Have the sizes up to `likes`: those of an earlier run if `reuse` and they are there, else made now."""
        sizes = [size for size in self.sizes if size <= likes]
        if reuse and all(self._mark(size) == self.items for size in sizes):
            self.curve = self._filled(likes).curve
        else:
            asyncio.run(self._fill(sizes))

    async def _fill(self, sizes: list[int]) -> None:
        growing = self.empty("growing")
        source = likes_of_fill(self.items)
        for size in sizes:
            async with Likes.open(self.url(growing)) as likes:
                await self._fill_to(size, likes, source)
            self._keep(growing, size)
        shutil.rmtree(growing)

    async def _fill_to(self, size: int, likes: Likes, source: Iterator[Pair]) -> None:
        done = self.curve[-1].likes if self.curve else 0
        while done < size:
            n = min(size - done, max(STEP_LIKES, done // STEP_PART))
            done += n
            self.curve.append(await fill_step(likes, islice(source, n), done))
            print(f"filled {done:,}: {self.curve[-1].likes_per_second:,.0f} likes/s", flush=True)

    def _keep(self, growing: Path, size: int) -> None:
        _copy(growing, self.empty(str(size)))
        mark = msgspec.json.encode(Filled(size, self.items, self.curve))
        self._mark_file(size).write_bytes(mark)

    def _mark_file(self, likes: int) -> Path:
        return self._folder / f"{likes}.json"

    def _filled(self, likes: int) -> Filled:
        return msgspec.json.decode(self._mark_file(likes).read_bytes(), type=Filled)

    def _mark(self, likes: int) -> int:
        """Over how many items the store of this size was filled; 0 if there is none."""
        return self._filled(likes).items if self._mark_file(likes).exists() else 0


def _copy(source: Path, target: Path) -> None:
    """Copy a store's folder; what never changes is only linked, which takes neither time nor space."""

    def one(source: str, target: str) -> None:
        (os.link if source.endswith(UNCHANGING) else shutil.copy2)(source, target)

    shutil.copytree(source, target, copy_function=one, dirs_exist_ok=True)


def likes_of_fill(items: int) -> Iterator[Pair]:
    """(user, item) at random, the same ones each time."""
    rng = Random(SEED)
    while True:
        yield ids.user(rng.randrange(ids.FILL_USERS) * ids.SPACING), ids.item(rng.randrange(items))


async def fill_step(likes: Likes, pairs: Iterator[Pair], total: int) -> Step:
    """Apply these pairs in batches, one after the other; only the applying is timed."""
    times: list[float] = []
    written_before, passed_before = machine.written_bytes(os.getpid())
    n = 0
    for some in in_slices(pairs, BATCH):
        ops = [Op(user, item, True) for user, item in some]
        began = time.perf_counter()
        await likes.apply(ops)
        times.append(time.perf_counter() - began)
        n += len(ops)
    written, passed = machine.written_bytes(os.getpid())
    return Step(
        likes=total,
        likes_per_second=n / sum(times),
        p99_ms=percentile(times, 99) * 1e3,
        written_bytes_per_like=(written - written_before) / n,
        passed_bytes_per_like=(passed - passed_before) / n,
        memory_mib=machine.memory_mib(os.getpid())[0],
    )


def percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
