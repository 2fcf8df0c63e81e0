"""`likewise.sync.Likes`: the same object for blocking code (Django, Flask, scripts). Thread-safe.

An event loop runs in a thread of its own, and each call waits for its coroutine there: threads that like at the same
time share commits just as coroutines do.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from . import likes as asynchronous
from .errors import Closed, SetupError
from .likes import Limits
from .times import Clock, wall_clock
from .trending import Hot

P = ParamSpec("P")
R = TypeVar("R")


def _blocking(
    method: Callable[Concatenate[asynchronous.Likes, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Likes", P], R]:
    def call(self: "Likes", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(method(self._likes, *args, **kwargs))  # pyright: ignore[reportPrivateUsage]

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    return call


def _iterating(
    method: Callable[Concatenate[asynchronous.Likes, P], AsyncIterator[R]],
) -> Callable[Concatenate["Likes", P], Iterator[R]]:
    def call(self: "Likes", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        iterator = method(self._likes, *args, **kwargs)  # pyright: ignore[reportPrivateUsage]
        end = object()

        async def step() -> Any:
            return await anext(iterator, end)

        while (value := self._run(step())) is not end:  # pyright: ignore[reportPrivateUsage]
            yield value

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    return call


class Likes:
    """`likewise.Likes`, blocking. Use it in `with`, or call `close` yourself.

    It does not survive a fork: open it in the process that uses it. An SQLite file belongs to one process; others talk
    to that one over HTTP.
    """

    def __init__(self, url: str, clock: Clock, limits: Limits | None) -> None:
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._pid = os.getpid()
        self._lock = threading.Lock()  # between asking whether it is closed and handing a call to the loop
        self._thread = threading.Thread(target=self._loop.run_forever, name="likewise", daemon=True)
        self._thread.start()
        try:
            self._likes = self._run(_open(url, clock, limits))
        except BaseException:
            self._stop()
            raise

    @classmethod
    def open(cls, url: str = "sqlite:likes.db", *, clock: Clock = wall_clock, limits: Limits | None = None) -> "Likes":
        """Open the store that `url` names. Raises SetupError."""
        return cls(url, clock, limits)

    like = _blocking(asynchronous.Likes.like)
    unlike = _blocking(asynchronous.Likes.unlike)
    apply = _blocking(asynchronous.Likes.apply)
    forget_user = _blocking(asynchronous.Likes.forget_user)
    forget_item = _blocking(asynchronous.Likes.forget_item)
    liked_at = _blocking(asynchronous.Likes.liked_at)
    count = _blocking(asynchronous.Likes.count)
    counts = _blocking(asynchronous.Likes.counts)
    likes_page = _blocking(asynchronous.Likes.likes_page)
    likes_of = _iterating(asynchronous.Likes.likes_of)
    likers_page = _blocking(asynchronous.Likes.likers_page)
    likers_of = _iterating(asynchronous.Likes.likers_of)
    summaries = _blocking(asynchronous.Likes.summaries)
    changes = _blocking(asynchronous.Likes.changes)
    reach = _blocking(asynchronous.Likes.reach)
    stats = _blocking(asynchronous.Likes.stats)
    ready = _blocking(asynchronous.Likes.ready)
    verify = _blocking(asynchronous.Likes.verify)
    expire = _blocking(asynchronous.Likes.expire)

    def trending(self, limit: int = asynchronous.PAGE_LIMIT) -> list[Hot]:
        """The items liked most right now, hottest first."""

        async def trending() -> list[Hot]:
            return self._likes.trending(limit)

        return self._run(trending())

    def close(self) -> None:
        """Commit everything that was accepted, then let go of the store. Safe to call twice."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._stop()

    def __enter__(self) -> "Likes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        if os.getpid() != self._pid:
            coroutine.close()
            raise SetupError("opened before a fork, whose threads stayed behind: open it in the process that uses it")
        with self._lock:
            if self._closed:
                coroutine.close()
                raise Closed("the service is closed")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result()

    async def _close(self) -> None:
        await self._likes.close()
        # Calls of other threads that came just before: each has its answer, or its Closed, before the loop ends.
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    async def _wind_up(self) -> None:
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def _stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _open(url: str, clock: Clock, limits: Limits | None) -> asynchronous.Likes:
    return await asynchronous.Likes.open(url, clock=clock, limits=limits)
