"""The machine a run is measured on, and what a process has used of it (from /proc: Linux only)."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import apsw


def describe(folder: Path) -> dict[str, str]:
    """What a reader needs to know to compare figures; `folder` is where the stores lie."""
    return {
        "CPU": f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "Python": platform.python_version(),
        "SQLite": apsw.sqlite_lib_version(),
        "rocksdict": version("rocksdict"),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def written_bytes(pid: int) -> tuple[int, int]:
    """What a process has written so far: (bytes that went towards the disk, bytes passed to write calls)."""
    io = f"/proc/{pid}/io"
    return int(_field(io, "write_bytes")), int(_field(io, "wchar"))


def memory_mib(pid: int) -> tuple[float, float]:
    """Resident memory of a process, in MiB: (now, at its peak)."""
    status = f"/proc/{pid}/status"
    return int(_field(status, "VmRSS").split()[0]) / 1024, int(_field(status, "VmHWM").split()[0]) / 1024


def commit() -> str:
    """The commit that is measured, with a `+` if the tree has uncommitted changes."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0 unknown"


def _file_system(folder: Path) -> str:
    """The file system of the mount that `folder` lies on: the one with the longest matching mount point."""
    place = str(folder.resolve())
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    over = [m for m in mounts if place == m[1] or place.startswith(m[1].rstrip("/") + "/")]
    device, _, kind, options, *_ = max(over, key=lambda m: len(m[1]))
    return f"{kind} on {device} ({options.split(',')[0]})"
