"""A machine whose disk is full or cannot sync, on command: a small file system, and system calls that fail."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.needs import missing, needs

PR_SET_PTRACER = 0x59616D61
PR_SET_PTRACER_ANY = -1


class SmallDisk:
    """A file system of its own, of some megabytes, which can be filled and emptied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, room: int) -> None:
        """Leave room for this many bytes."""
        found = os.statvfs(self.path)
        with open(self._filler, "ab") as filler:
            filler.write(bytes(max(0, found.f_bavail * found.f_frsize - room)))

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mounted, which needs root, for as long as it is needed."""
    if sys.platform != "linux":
        pytest.skip("mounts a tmpfs")
    path.mkdir()
    mounted = subprocess.run(
        [needs("mount"), "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)], capture_output=True, text=True
    )
    if mounted.returncode:
        missing(f"cannot mount a tmpfs ({mounted.stderr.strip()})")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextmanager
def system_calls(*options: str) -> Iterator[list[str]]:
    """Trace this very process, or let its system calls fail: the options are strace's. The list gets the trace's lines
    when it is over."""
    if sys.platform != "linux":
        pytest.skip("strace is of Linux")
    strace = needs("strace")
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)  # where only a parent may trace
    lines: list[str] = []
    command = [strace, "-f", "-y", "-p", str(os.getpid()), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracing:
        assert tracing.stderr is not None
        first = tracing.stderr.readline()
        if "attached" not in first:
            missing(f"cannot trace ({first.strip()})")
        try:
            yield lines
        finally:
            tracing.send_signal(signal.SIGINT)
            lines += tracing.stderr.read().splitlines()
