"""Processes that read along: started, watched and stopped by the one that writes. What they do is in `reader.py`.

All listen on the same port (SO_REUSEPORT), and the kernel spreads the connections over them. Each reader has a link to
this process: its writes come over it, and when this process ends, however it does, so do the link and the reader.
"""

import asyncio
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any

import msgspec
import structlog

from ..errors import SetupError
from ..likes import Likes
from ..settings import Settings
from ..store.contract import Store
from ..store.link import answer

log = structlog.get_logger("likewise.readers")

SERVING = b"serving\n"
"""What a reader says on its stdout once it serves."""

START_S = 60.0
"""How long a reader may take until it serves."""

STOP_S = 15.0
"""How long a reader gets to end by itself; it gives its requests ten seconds of these."""

PAUSE_S = 0.5
"""Before a reader that ended is started again; twice as long each time, until one has lived `STEADY_S`."""

STEADY_S = 60.0

STARTS_MAX = 6
"""So many readers in a row that lived no longer than that are enough."""


class Start(msgspec.Struct, frozen=True):
    """What a reader is told on its stdin. Its worker number is 2 or higher: the process that writes is worker 1."""

    settings: Settings
    address: str
    port: int
    worker: int


class Readers:
    """The readers of one service, from entering the block to leaving it.

    `serving` is done once all of them serve, or with the SetupError of one that cannot.
    """

    def __init__(self, likes: Likes, settings: Settings, address: str, port: int) -> None:
        self._starts = [Start(settings, address, port, worker) for worker in range(2, settings.workers + 1)]
        self._methods = _methods(likes)

    async def __aenter__(self) -> "Readers":
        firsts = [asyncio.get_running_loop().create_future() for _ in self._starts]
        self.serving: asyncio.Future[list[None]] = asyncio.gather(*firsts)
        self._tasks = [
            asyncio.ensure_future(self._keep(start, first)) for start, first in zip(self._starts, firsts, strict=True)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Let all of them finish what they have accepted, and end. Safe to call twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, start: Start, first: "asyncio.Future[None]") -> None:
        """Run a reader, and another one whenever it ends; `first` learns how the first one started."""
        loop = asyncio.get_running_loop()
        starts = 0
        while starts < STARTS_MAX:
            began = loop.time()
            try:
                why = f"exit status {await self._run(start, first)}"
            except OSError as error:  # there was no process to be had, or it did not serve in time
                why = str(error)
            if not first.done():
                first.set_exception(SetupError(f"reader process {start.worker} did not start ({why})"))
                return
            starts = 1 if loop.time() - began > STEADY_S else starts + 1
            log.warning("a reader process ended; another one follows", worker=start.worker, why=why)
            await asyncio.sleep(PAUSE_S * 2 ** (starts - 1))
        log.error("a reader process ends again and again; the service goes on without it", worker=start.worker)

    async def _run(self, start: Start, first: "asyncio.Future[None]") -> int:
        """Run a reader once, to its end; returns its exit status. If cancelled, asks it to end. Raises OSError."""
        ours, theirs = socket.socketpair()
        answering = asyncio.ensure_future(answer(ours, self._methods))
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "likewise.http.reader", str(theirs.fileno())),
                    stdin=PIPE,
                    stdout=PIPE,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for this process, which then stops the others in order
                )
            try:
                if await _serves(process, start) and not first.done():
                    first.set_result(None)
                return await process.wait()
            finally:
                await _end(process)
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


def _methods(likes: Likes) -> Mapping[Callable[..., Any], Callable[..., Awaitable[Any]]]:
    """What readers ask of this process: ops join the same commits as its own."""
    store = likes.store
    return {
        Store.apply: likes.writes.submit,
        Store.reach: store.reach,
        Store.changes: store.changes,
        Store.stats: store.stats,
        Store.ready: store.ready,
        Store.backup: store.backup,
        Store.remember: store.remember,
        Store.expire: store.expire,
    }


async def _serves(process: Process, start: Start) -> bool:
    """Tell it what to do; returns whether it does. Raises TimeoutError."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(start))
    process.stdin.close()
    try:
        return await asyncio.wait_for(process.stdout.readline(), START_S) == SERVING
    except TimeoutError:
        raise TimeoutError(f"it did not serve within {START_S:.0f} s") from None


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        log.warning("a reader process did not end in time", pid=process.pid)
        process.kill()
        await process.wait()
