"""A process that reads along: `python -m likewise.http.reader FD`, started by `readers.py` and by nobody else.

FD is its end of the link. When that ends, the process that writes is gone, and so is this one, at once: it must not
stay on the port with half a service.
"""

import os
import socket
import sys

import msgspec
import structlog

from ..errors import SetupError
from ..likes import Likes
from ..logs import configure
from ..store import open_reader
from ..store.link import Link
from .app import App
from .readers import SERVING, Start
from .server import drain, first_of, limits_of, listening, run, stop_signal, tune_garbage_collection

log = structlog.get_logger("likewise.reader")


async def serve(start: Start, end: socket.socket) -> None:
    """Serve until the process that writes says stop, or is gone. Raises SetupError."""
    settings = start.settings
    configure(settings.log_format)
    stop = stop_signal()
    link = await Link.over(end)
    link.lost.add_done_callback(_gone)
    try:
        likes = Likes(await open_reader(settings.store, link), limits=limits_of(settings))
        await likes.warm()
        tune_garbage_collection()
        app = App(likes, settings, worker=start.worker)
        async with listening(app, start.address, start.port) as serving:
            sys.stdout.buffer.write(SERVING)
            sys.stdout.flush()
            await first_of(serving, stop.wait())
            await drain(app)
        await likes.close()
    finally:
        link.lost.remove_done_callback(_gone)  # also of an error, which is to be seen: its way out cancels `lost`
    await link.close()


def _gone(_: object) -> None:
    log.warning("the process that writes is gone; this one ends")
    os._exit(1)


def main() -> None:
    start = msgspec.json.decode(sys.stdin.buffer.read(), type=Start)
    try:
        run(serve(start, socket.socket(fileno=int(sys.argv[1]))))
    except SetupError as error:
        print(f"likewise: worker {start.worker}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
