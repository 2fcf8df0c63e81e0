"""Bounded background work: what must happen now and then without anyone asking."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

log = structlog.get_logger("likewise.upkeep")

Job = Callable[[], Awaitable[object]]


class Upkeep:
    """Runs `jobs` one after the other every `period_s` seconds. A job that fails is logged and tried next time."""

    def __init__(
        self, jobs: Sequence[Job], period_s: float = 60, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._jobs = jobs
        self._period_s = period_s
        self._sleep = sleep
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Stop, in the middle of a job if need be."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._sleep(self._period_s)
            for job in self._jobs:
                try:
                    await job()
                except Exception as error:
                    log.warning("upkeep failed", job=getattr(job, "__name__", repr(job)), error=str(error))
