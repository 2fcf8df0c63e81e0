"""An open-loop client: sends each request at its scheduled time, however long the answers before it take.

`python -m bench.paced PORT RATE SECONDS FILE` prints a `Paced` as JSON. Latencies count from the scheduled time, so a
server that stalls is charged for every request that should have been sent meanwhile (no coordinated omission). It runs
in a process of its own and reports how late it sent and how busy it was, so that its own share can be judged.
"""

import asyncio
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import cast

import msgspec
import uvloop

from . import ids
from .requests import NEW
from .stores import percentile

CONNECTIONS = 128
TICK_S = 0.001
"""The shortest sleep: the loop's timers are no finer, and would spin."""

DRAIN_S = 5
GRACE_S = 60
END = b"\r\n\r\n"
LENGTH = b"content-length: "


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds, from the scheduled time to the whole answer."""

    n: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Paced(msgspec.Struct, frozen=True):
    """What a paced run saw. `late_p99_ms`: how long after its time a request was sent for which a connection was
    free, which is the client's own doing. `busy`: the client's share of one core."""

    rate: float
    kinds: dict[str, Latency]
    refused: int
    unanswered: int
    late_p99_ms: float
    busy: float


class Client:
    """Sends a schedule over a fixed set of connections; a request that finds none free waits, and its wait counts."""

    def __init__(self, schedule: list[tuple[float, str, bytes]]) -> None:
        self.schedule = schedule
        self.free: deque[Connection] = deque()
        self.times: dict[str, list[float]] = {}
        self.late: list[float] = []
        self.refused = 0
        self.pending = len(schedule)
        self._next = 0
        self._began = 0.0
        self._starved = False
        self.finished = asyncio.Event()

    def begin(self) -> None:
        self._began = time.perf_counter()
        self.send_due()

    def send_due(self) -> None:
        """Send everything whose time has come, then sleep until the next one's."""
        now = time.perf_counter() - self._began
        while self._next < len(self.schedule) and (at := self.schedule[self._next][0]) <= now:
            if not self.free:
                self._starved = True
                return
            _, kind, request = self.schedule[self._next]
            if not self._starved:
                self.late.append(now - at)
            self._next += 1
            self.free.popleft().send(kind, at, request)
        self._starved = False
        if self._next < len(self.schedule):
            asyncio.get_running_loop().call_later(max(TICK_S, self.schedule[self._next][0] - now), self.send_due)

    def answered(self, connection: "Connection", ok: bool) -> None:
        now = time.perf_counter() - self._began
        self.times.setdefault(connection.kind, []).append(now - connection.at)
        self.refused += not ok
        self.pending -= 1
        self.free.append(connection)
        if self._starved:
            self.send_due()
        if not self.pending:
            self.finished.set()


class Connection(asyncio.Protocol):
    """One request under way at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._buffer = b""
        self.kind = ""
        self.at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._client.free.append(self)

    def send(self, kind: str, at: float, request: bytes) -> None:
        self.kind, self.at = kind, at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data
        head = buffer.find(END)
        if head < 0:
            return
        start = buffer.lower().find(LENGTH, 0, head) + len(LENGTH)
        length = int(buffer[start : buffer.index(b"\r\n", start)])
        if len(buffer) >= head + len(END) + length:
            self._buffer = b""
            self._client.answered(self, buffer.startswith(b"HTTP/1.1 2"))


def encode(line: str, new_users: Iterator[str]) -> tuple[str, bytes]:
    """A line of a request file as (kind, bytes on the wire)."""
    method, path, user, *rest = line.split(" ", 3)
    body = rest[0] if rest else ""
    user = next(new_users) if user == NEW else user
    kind = "like" if method == "PUT" else "list" if path.endswith("/likes") else "status, count"
    length = f"Content-Length: {len(body)}\r\n" if method != "GET" else ""
    return kind, f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-User-Id: {user}\r\n{length}\r\n{body}".encode()


def schedule_of(file: Path, rate: float, seconds: float) -> list[tuple[float, str, bytes]]:
    """Poisson arrivals of the file's requests: what independent callers make."""
    rng = Random(1)
    users = ids.new_users(ids.start())
    lines = file.read_text(encoding="utf-8").splitlines()
    at = 0.0
    schedule: list[tuple[float, str, bytes]] = []
    for line in islice(cycle(lines), int(rate * seconds)):
        at += rng.expovariate(rate)
        schedule.append((at, *encode(line, users)))
    return schedule


async def pace(port: int, rate: float, seconds: float, file: Path) -> Paced:
    client = Client(schedule_of(file, rate, seconds))
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Connection(client), "127.0.0.1", port)
    cpu, began = time.process_time(), time.perf_counter()
    if len(client.free) < CONNECTIONS:
        raise SystemExit(f"only {len(client.free)} of {CONNECTIONS} connections were made")
    client.begin()
    with suppress(TimeoutError):  # what is still unanswered then is reported as such
        await asyncio.wait_for(client.finished.wait(), seconds + DRAIN_S)
    took = time.perf_counter() - began
    kinds = {kind: latency_of(times) for kind, times in client.times.items()}
    late = percentile(client.late, 99) * 1e3
    done = len(client.schedule) - client.pending
    return Paced(done / took, kinds, client.refused, client.pending, late, (time.process_time() - cpu) / took)


def latency_of(times: list[float]) -> Latency:
    return Latency(len(times), *(percentile(times, percent) * 1e3 for percent in (50, 95, 99)))


def run(port: int, rate: float, seconds: float, file: Path) -> Paced:
    """In a process of its own."""
    command = [sys.executable, "-m", "bench.paced", str(port), str(rate), str(seconds), str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=seconds + GRACE_S)
    return msgspec.json.decode(done.stdout, type=Paced)


if __name__ == "__main__":
    paced = uvloop.run(pace(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])))
    print(msgspec.json.encode(paced).decode())
