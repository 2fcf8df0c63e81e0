"""wrk: HTTP load for a bounded time over a fixed number of connections, each waiting for its answer."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median_low
from typing import TypeVar

import msgspec

from . import ids

T = TypeVar("T")

SCRIPTS = Path(__file__).with_name("wrk")
TIMEOUT_S = 10
GRACE_S = 30
WARM_UP_S = 1


class Load(msgspec.Struct, frozen=True):
    """What one run of wrk saw. `refused` counts answers of 400 and above, `broken` connections that failed."""

    requests: int
    seconds: float
    broken: int
    refused: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def failed(self) -> str | None:
        """Why this run does not count."""
        if self.refused or self.broken:
            return f"{self.refused:,} answers were not 2xx, {self.broken:,} connections broke"
        return None if self.requests else "no answers at all"


def ensure_wrk() -> str:
    """The path of wrk, installed if that can be done here. Exits with what to do otherwise."""
    if not shutil.which("wrk") and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "wrk"]):
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    path = shutil.which("wrk")
    if not path:
        raise SystemExit(
            "The HTTP figures need wrk. Install it (Debian: apt-get install wrk, macOS: brew install wrk)."
        )
    return path


def begin(url: str, script: str, *args: object, connections: int, seconds: int) -> "subprocess.Popen[str]":
    """Start a load in the background; `end` collects it."""
    command = [ensure_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={TIMEOUT_S}s", "--latency"]
    command += ["-s", f"{script}.lua", url, "--", *map(str, args)]
    return subprocess.Popen(command, cwd=SCRIPTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]", seconds: int) -> Load:
    try:
        out, err = process.communicate(timeout=seconds + GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise SystemExit(f"wrk did not end within {seconds + GRACE_S} s") from None
    line = next((line for line in out.splitlines() if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"wrk failed: {err.strip() or out.strip()}")
    return msgspec.convert(json.loads(line), Load)


def run(url: str, script: str, *args: object, connections: int, seconds: int) -> Load:
    return end(begin(url, script, *args, connections=connections, seconds=seconds), seconds)


def likes(url: str, items: int, *, connections: int, seconds: int) -> Load:
    """Likes by new users, of the hot item (`items` = 1) or over many."""
    return run(url, "likes", items, ids.start(), connections=connections, seconds=seconds)


def replay(url: str, file: Path, *, connections: int, seconds: int) -> Load:
    """The requests of a file."""
    return run(url, "replay", file.absolute(), ids.start(), connections=connections, seconds=seconds)


class Walk:
    """GETs of all of some ids in random order, over and over: a run goes on where the one before it ended, so that none
    is asked for again before all others were. `@` in the path and the user stands for an id (`wrk/walk.lua`)."""

    def __init__(self, url: str, path: str, user: str, places: int, spacing: int = 1) -> None:
        self._url = url
        self._args = (path, user, places, spacing)
        self._asked = 0

    def run(self, connections: int, seconds: int) -> Load:
        done = run(self._url, "walk", *self._args, self._asked, connections=connections, seconds=seconds)
        self._asked += done.requests
        return done


def interleaved(times: int, *runs: Callable[[], T]) -> list[list[T]]:
    """Run each in turn, `times` over, so that a noisy moment hits all of them; the results of each."""
    rounds = [[run() for run in runs] for _ in range(times)]
    return [list(results) for results in zip(*rounds, strict=True)]


def median_of(loads: list[Load]) -> Load:
    """The run with the median rate: its percentiles belong to its rate."""
    rate = median_low([load.per_second for load in loads])
    return next(load for load in loads if load.per_second == rate)


def failed(*loads: Load) -> str | None:
    """The first reason why any of these does not count."""
    return next((load.failed for load in loads if load.failed), None)
