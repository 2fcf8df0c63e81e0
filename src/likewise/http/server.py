"""`likewise serve`: a process with one event loop, granian's RSGI in front, a clean start and a clean stop.

With `workers`, there are more of them: `readers.py`.
"""

import asyncio
import errno
import gc
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from ..errors import SetupError
from ..likes import Likes, Limits
from ..logs import configure
from ..settings import Settings
from .app import App
from .readers import Readers
from .rsgi import RsgiApp

log = structlog.get_logger("likewise.server")

BACKLOG = 1_024
CONNECTIONS_MAX = 16_384
"""granian counts idle keep-alive connections too, so this is above what its clients hold open."""

DRAIN_S = 10.0
"""How long requests under way get to end after a signal."""


async def serve(settings: Settings, started: Callable[[str], None] = lambda _: None) -> None:
    """Open the store, listen, call `started` with the URL, and serve until SIGINT or SIGTERM; then finish what was
    accepted, and stop. With several workers, this is the process that writes. Raises SetupError."""
    configure(settings.log_format)
    address, port = _free_address(settings)
    tune_garbage_collection()
    async with Likes.open(settings.store, limits=limits_of(settings)) as likes:
        app = App(likes, settings)
        stop = stop_signal()
        async with listening(app, address, port) as serving, Readers(likes, settings, address, port) as readers:
            await first_of(readers.serving, serving, stop.wait())
            if readers.serving.done():
                await readers.serving
                url = f"http://{_bracketed(settings.host)}:{port}"
                likes.announce(url)
                started(url)
                await first_of(serving, stop.wait())
            await asyncio.gather(drain(app), readers.stop())


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run in the event loop that granian is fastest on."""
    runner: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run
    try:
        import uvloop
    except ImportError:
        pass
    else:
        runner = uvloop.run
    runner(work)


def limits_of(settings: Settings) -> Limits:
    """What each process may hold."""
    return Limits(settings.commit_ops_max, settings.queue_ops_max, settings.cache_items_max)


async def first_of(*ends: Awaitable[Any]) -> None:
    """Returns once one of these is done."""
    await asyncio.wait([asyncio.ensure_future(end) for end in ends], return_when=asyncio.FIRST_COMPLETED)


@asynccontextmanager
async def listening(app: App, address: str, port: int) -> AsyncGenerator["asyncio.Future[None]"]:
    """Serve `app` within the block; gives what is done only if the server ends by itself."""
    server = _server(app, address, port)
    serving = asyncio.ensure_future(server.serve())
    try:
        await _listening(address, port, serving)
        yield serving
    finally:
        server.stop()
        with suppress(asyncio.CancelledError):
            await serving


def _server(app: App, host: str, port: int) -> Server:
    return Server(
        RsgiApp(app),
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto,
        websockets=False,
        backlog=BACKLOG,
        backpressure=CONNECTIONS_MAX,
        log_enabled=False,
    )


def tune_garbage_collection() -> None:
    """Nothing here makes cycles per request, so look for them seldom, and never among what was made at the start.

    The default looks after every 700 objects: a fifth of the time of a like (docs/decisions/004-the-hot-path.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def stop_signal() -> asyncio.Event:
    """Set by SIGINT and SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _free_address(settings: Settings) -> tuple[str, int]:
    """The address and port to listen on, tried here because the server would say less clearly what is wrong."""
    try:
        family, *_, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SetupError(f"cannot listen on {settings.host}: {error.strerror or error}") from error
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise SetupError(f"port {settings.port} on {settings.host} {what}. Choose another: --port 8081") from error
        return probe.getsockname()[:2]


async def _listening(host: str, port: int, serving: "asyncio.Future[None]") -> None:
    """Returns once the port accepts; raises what stopped the server from it."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    serving.result()
    raise SetupError(f"the server did not start on port {port}")


async def drain(app: App) -> None:
    """Take nothing more, and give what is under way time to end."""
    app.draining = True
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_S
    while app.measures.in_flight and loop.time() < deadline:  # noqa: ASYNC110 - an event would cost every request
        await asyncio.sleep(0.01)
    if app.measures.in_flight:
        log.warning("stopping with requests under way", requests=app.measures.in_flight)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
