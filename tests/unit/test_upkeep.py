"""Upkeep: runs its jobs again and again, whatever becomes of one of them. Sleep is injected."""

import asyncio

from likewise.upkeep import Upkeep


class Naps:
    """A sleep that ends when told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._ends: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self._ends.get()

    async def end(self) -> None:
        self._ends.put_nowait(None)
        for _ in range(10):
            await asyncio.sleep(0)


async def test_jobs_run_one_after_the_other_each_period() -> None:
    naps, ran = Naps(), []

    async def one() -> None:
        ran.append("one begins")
        await asyncio.sleep(0)
        ran.append("one ends")

    async def two() -> None:
        ran.append("two")

    upkeep = Upkeep([one, two], 7, sleep=naps)
    await asyncio.sleep(0)
    assert ran == []
    for _ in range(3):
        await naps.end()
    assert ran == ["one begins", "one ends", "two"] * 3
    assert naps.asked == [7] * 4
    await upkeep.stop()


async def test_a_job_that_fails_stops_neither_the_others_nor_its_own_next_turn() -> None:
    naps, ran = Naps(), []

    async def fails() -> None:
        ran.append("fails")
        raise OSError("no luck")

    async def works() -> None:
        ran.append("works")

    upkeep = Upkeep([fails, works], sleep=naps)
    await naps.end()
    await naps.end()
    assert ran == ["fails", "works"] * 2
    await upkeep.stop()


async def test_it_stops_in_the_middle_of_a_job() -> None:
    naps, ended = Naps(), []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    upkeep = Upkeep([forever], sleep=naps)
    await naps.end()
    await upkeep.stop()
    assert ended == [True]
    await upkeep.stop()
