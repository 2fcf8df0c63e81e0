"""The thread in which a tier does everything that waits for its disk, one piece of work at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from ..errors import Closed, StoreFailed

R = TypeVar("R")

BROKEN_RETRY_S = 60


class Failure(NamedTuple):
    """What a driver's error means: what the caller is told, and, if nothing may be written after it, why not."""

    error: StoreFailed
    broken: str | None = None


class WriterThread:
    """Runs work in order. `explain` says what an error of the driver means; None for one that is not the driver's.

    After a Failure with `broken`, everything is refused: only opening the store anew, which reads what is really on
    disk, may go on from there.
    """

    def __init__(self, explain: Callable[[Exception], Failure | None]) -> None:
        self._explain = explain
        self._broken: str | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "likewise-writer")
        self._pending: set[Future[Any]] = set()

    @property
    def idle(self) -> bool:
        """Nothing is under way here and nothing waits, so the caller may use what the thread otherwise owns."""
        return not self._pending

    def check(self) -> None:
        """Raises what `run` would raise before it begins."""
        if self._closed:
            raise Closed("the store is closed")
        if self._broken:
            raise StoreFailed(self._broken, BROKEN_RETRY_S)

    async def run(self, work: Callable[[], R]) -> R:
        """Do `work` in the thread. Raises what it raises, Closed, or StoreFailed."""
        self.check()
        future = self._thread.submit(self._guarded, work)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return await asyncio.wrap_future(future)

    def refuse(self) -> None:
        """Take nothing more: from now on, `check` raises Closed."""
        self._closed = True

    async def close(self, last: Callable[[], None]) -> None:
        """Finish what was begun, do `last`, and end. Once."""
        self.refuse()
        await asyncio.get_running_loop().run_in_executor(self._thread, last)
        self._thread.shutdown()

    def _guarded(self, work: Callable[[], R]) -> R:
        if self._broken:
            raise StoreFailed(self._broken, BROKEN_RETRY_S)
        try:
            return work()
        except Exception as error:
            failure = self._explain(error)
            if failure is None:
                raise
            self._broken = failure.broken
            raise failure.error from error
