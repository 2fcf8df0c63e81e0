"""Batching: calls that arrive together go to the store together. No timers.

While one batch is under way, calls gather; when it ends, all of them go. An idle service commits a single op at once
(latency = one commit); a loaded one commits hundreds (throughput). Reads gather the same way: a read joins only a
query that is not sent yet, because one already under way could miss a write answered in between.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Generic, TypeVar

from .errors import Closed, Overloaded, Unavailable

K = TypeVar("K")
V = TypeVar("V")


class Batcher(Generic[K, V]):
    """Gathers sequences of `K` while a batch is under way, hands them to `run` in the order of arrival, one batch at
    a time, and gives everyone their own part of the `V`s that come back, one for each `K`.

    Bounded: with `waiting_max` entries waiting, `submit` raises Overloaded at once. `done` is told of each batch (what
    went in, what came out, its seconds) before anyone waiting for it is, so what it updates is never behind an answer.
    """

    def __init__(
        self,
        run: Callable[[Sequence[K]], Awaitable[Sequence[V]]],
        done: Callable[[Sequence[K], Sequence[V], float], None] | None = None,
        *,
        batch_max: int = 1_000,
        waiting_max: int = 20_000,
    ) -> None:
        self._run = run
        self._done = done
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._calls: deque[tuple[Sequence[K], asyncio.Future[Sequence[V]]]] = deque()
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: asyncio.Task[None] | None = None
        self._under_way: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many entries wait for the batch under way to end."""
        return self._waiting

    def submit(self, entries: Sequence[K]) -> "asyncio.Future[Sequence[V]]":
        """Accept entries; the future has their results once their batch is done, or what `run` raised.

        Entries submitted together stay together: keep them to `batch_max`, and others get their turn in between.
        Raises Overloaded or Closed, and then nothing was accepted.
        """
        if self._closed:
            raise Closed("shutting down; ask again in a moment")
        if self._waiting + len(entries) > self._waiting_max and self._waiting:
            raise Overloaded(f"{self._waiting} are waiting already; ask again in a moment")
        loop = self._loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[Sequence[V]] = loop.create_future()
        self._calls.append((entries, future))
        self._waiting += len(entries)
        if self._runner is None:
            self._runner = loop.create_task(self._run_all())
        return future

    async def close(self) -> None:
        """Take nothing more, and finish everything that was accepted."""
        self._closed = True
        if self._runner is not None:
            await asyncio.wait([self._runner])  # not by itself: who gives up closing must not take it along

    async def settled(self) -> None:
        """Returns once the batch that is under way now, if any, is done."""
        if self._under_way is not None:
            await asyncio.shield(self._under_way)

    async def _run_all(self) -> None:
        try:
            while self._calls:
                await self._run_batch(self._take())
        finally:
            self._runner = None
            while self._calls:  # only if this was cancelled: nobody may wait for what will not come
                _fail(self._take(), Unavailable("interrupted before it began; ask again"))

    def _take(self) -> list[tuple[Sequence[K], "asyncio.Future[Sequence[V]]"]]:
        calls = [self._calls.popleft()]
        n = len(calls[0][0])
        while self._calls and n + len(self._calls[0][0]) <= self._batch_max:
            calls.append(self._calls.popleft())
            n += len(calls[-1][0])
        self._waiting -= n
        return calls

    async def _run_batch(self, calls: list[tuple[Sequence[K], "asyncio.Future[Sequence[V]]"]]) -> None:
        batch = [entry for entries, _ in calls for entry in entries]
        self._under_way = asyncio.get_running_loop().create_future()
        began = perf_counter()
        try:
            results = await self._run(batch)
            if self._done:
                self._done(batch, results, perf_counter() - began)
        except Exception as error:
            _fail(calls, error)
            return
        except BaseException:
            _fail(calls, Unavailable("interrupted; whether it was done is not known, and asking again is safe"))
            raise
        finally:
            self._under_way.set_result(None)
            self._under_way = None
        start = 0
        for entries, future in calls:
            end = start + len(entries)
            if not future.done():  # done already: who waited for it has gone
                future.set_result(results[start:end])
            start = end


def _fail(calls: "list[tuple[Sequence[K], asyncio.Future[Sequence[V]]]]", error: Exception) -> None:
    for _, future in calls:
        if not future.done():
            future.set_exception(error)
