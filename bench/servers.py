"""Server processes, started and stopped: likewise itself, and the bare echo beside it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec

LIKEWISE = [str(Path(sys.executable).with_name("likewise"))]
"""The command of the environment the bench runs in."""

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LIKEWISE_")}
"""Of everything started here: what is measured are the defaults, not somebody's settings."""

START_S = 30
STOP_S = 60
"""A store with a large WAL takes a while to close."""


class Server(msgspec.Struct, frozen=True):
    """A process that serves HTTP on loopback."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: str | None = None) -> bytes:
        """The body of one call's answer, whatever its status."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def likewise(store: str, log: Path) -> Iterator[Server]:
    """`likewise serve` over a store, as a user would start it."""
    port = _free_port()
    with _serving(
        [*LIKEWISE, "serve", "--store", store, "--host", "127.0.0.1", "--port", str(port)], port, log
    ) as server:
        yield server


@contextmanager
def echo(answer: bytes, log: Path) -> Iterator[Server]:
    """A bare RSGI application that answers everything with `answer`."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.peers.echo", str(port), answer.decode()]
    with _serving(command, port, log) as server:
        yield server


@contextmanager
def _serving(command: list[str], port: int, log: Path) -> Iterator[Server]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=ENVIRONMENT)
    try:
        _wait(process, port, log)
        yield Server(process.pid, port)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError, HTTPException):
            connection = HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/livez")
            if connection.getresponse().status == 200:
                connection.close()
                return
        time.sleep(0.05)
    tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
    raise SystemExit(f"the server did not answer GET /livez within {START_S} s. Its log ends:\n{tail}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
