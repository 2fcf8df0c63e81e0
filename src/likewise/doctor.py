"""What is wrong with a set-up, and how to mend it: checks of this machine, the settings and the store.

Nothing here changes anything, and no check opens the store: one that is in use is looked at from outside.
"""

import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from .errors import LikewiseError, SetupError
from .settings import NAMES, Settings, load
from .store.url import StoreUrl

PYTHON_MIN = (3, 11)
SQLITE_MIN = (3, 51, 3)
FREE_BYTES_MIN = 2**30
OPEN_FILES_MIN = 4_096
YEAR_MIN = 2025

NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "glusterfs",
    "ceph",
    "lustre",
    "afs",
}

COMMANDS_VARIABLES = {"LIKEWISE_URL", "LIKEWISE_TOKEN"}
"""Read by the commands, and no settings of the service."""

SQLITE_MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
"""Of an SQLite file; https://sqlite.org/fileformat2.html#the_database_header says what stands where."""


class Verdict(StrEnum):
    """How a check ended. Only a problem keeps the service from working right."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """What a check found, and how to mend it."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


def examine(flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None = None) -> Iterator[Finding]:
    """All checks, one after the other. `flags` are settings, as in `settings.load`."""
    yield from (check_python(), check_sqlite(), check_extras(), check_clock(), check_open_files())
    try:
        settings = load(flags, environment, config)
    except SetupError as error:
        yield Finding("settings", Verdict.PROBLEM, str(error), "Set it right; docs/settings.md lists every setting.")
        return
    yield check_environment(environment) or Finding(
        "settings", Verdict.OK, f"{settings.store}, identity = {settings.identity}"
    )
    yield check_address(settings)
    yield from check_store(settings.store)


def check_python() -> Finding:
    found = platform.python_version()
    if sys.version_info < PYTHON_MIN:
        return Finding("python", Verdict.PROBLEM, found, f"Install Python {_dotted(PYTHON_MIN)} or newer.")
    return Finding("python", Verdict.OK, found)


def check_sqlite() -> Finding:
    """The SQLite that comes with apsw: the interpreter's own is not used."""
    try:
        import apsw
    except ImportError as error:
        return Finding("sqlite", Verdict.PROBLEM, f"apsw cannot be imported ({error})", "pip install --upgrade apsw")
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < SQLITE_MIN:
        mend = (
            "pip install --upgrade apsw: before 3.51.3 a WAL file could be reset while it was read, and corrupt data."
        )
        return Finding("sqlite", Verdict.PROBLEM, version, mend)
    return Finding("sqlite", Verdict.OK, f"{version} (apsw {apsw.apsw_version()})")


def check_extras() -> Finding:
    """What is optional, and what brings it."""
    extras = {"parquet": "pyarrow", "rocksdb": "rocksdict"}
    there = [name for name, module in extras.items() if importlib.util.find_spec(module)]
    missing = [f"pip install 'likewise[{name}]'" for name in extras if name not in there]
    found = ", ".join(there) or "none"
    return Finding("extras", Verdict.OK, found + (f"; for the others: {', '.join(missing)}" if missing else ""))


def check_clock(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Finding:
    moment = now()
    text = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    if moment.year < YEAR_MIN:
        return Finding(
            "clock", Verdict.WARNING, text, "Likes are dated by this clock: set it, or start an NTP service."
        )
    return Finding("clock", Verdict.OK, text)


def check_open_files() -> Finding:
    """Every connection is an open file."""
    if sys.platform == "win32":
        return Finding("open files", Verdict.OK, "no limit to check")
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Finding("open files", Verdict.OK, "unlimited")
    if soft < OPEN_FILES_MIN:
        mend = "For more connections than that: ulimit -n 65536, or LimitNOFILE=65536 in systemd's unit."
        return Finding("open files", Verdict.WARNING, f"at most {soft:,}", mend)
    return Finding("open files", Verdict.OK, f"at most {soft:,}")


def check_environment(environment: Mapping[str, str]) -> Finding | None:
    """A misspelt variable is no error anywhere else: it might be someone else's."""
    known = {f"LIKEWISE_{name.upper()}" for name in NAMES} | COMMANDS_VARIABLES
    unknown = {name for name in environment if name.startswith("LIKEWISE_")} - known
    if unknown := sorted(name for name in unknown if name.removesuffix("_FILE") not in known):
        mend = "Nothing reads it: is it misspelt? docs/settings.md lists every setting."
        return Finding("settings", Verdict.WARNING, f"the environment has {', '.join(unknown)}", mend)
    return None


def check_address(settings: Settings) -> Finding:
    """Whether a server could listen there now."""
    where = f"{settings.host} port {settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except PermissionError:
        return Finding("address", Verdict.PROBLEM, f"{where}: not allowed", "Choose a port above 1023 with --port.")
    except OSError as error:
        mend = "If that is not likewise itself, choose another one with --port." if settings.port else ""
        verdict = Verdict.WARNING if _answers(settings) else Verdict.PROBLEM
        found = "someone listens there already" if verdict is Verdict.WARNING else error.strerror or str(error)
        return Finding("address", verdict, f"{where}: {found}", mend or "Check --host.")
    return Finding("address", Verdict.OK, f"{where} is free")


def check_store(store: str) -> Iterator[Finding]:
    """What is behind a store's URL, and the disk that it is on."""
    try:
        url = StoreUrl.parse(store)
        looks = {"sqlite": _look_at_file, "rocksdb": _look_at_folder}.get(url.scheme)
        if looks is None or url.path is None:
            yield Finding("store", Verdict.WARNING, store, "Nothing is kept: for tests only.")
            return
        place = looks(url, url.path)
    except SetupError as error:
        yield Finding("store", Verdict.PROBLEM, str(error), "Name one of its own: --store sqlite:likes.db")
        return
    finding = check_folder(place.folder)
    yield finding
    if finding.verdict is not Verdict.PROBLEM:
        yield check_disk(place.folder)
        yield check_file_system(place.folder)
        yield place.check()
        yield check_owner(place.lock)


class _Place(NamedTuple):
    """Where a store is: the folder that it writes in, its lock, and the check of what is there."""

    folder: Path
    lock: Path
    check: Callable[[], Finding]


def _look_at_file(url: StoreUrl, path: Path) -> _Place:
    from .store.owner import own_file
    from .store.sqlite import Settings as FileSettings

    url.settings(FileSettings)
    path = own_file(path)  # the one that the lock is beside
    return _Place(path.parent, path.with_name(path.name + "-lock"), lambda: check_file(path))


def _look_at_folder(url: StoreUrl, path: Path) -> _Place:
    from .store import extra

    with extra("rocksdb", "rocksdict"):
        from .store.rocksdb import Settings as FolderSettings
        from .store.rocksdb.folder import LOCK

    url.settings(FolderSettings)
    path = path.resolve()
    return _Place(path if path.exists() else path.parent, path / LOCK, lambda: check_store_folder(path))


def check_folder(folder: Path) -> Finding:
    """Every store makes files in its folder; SQLite's beside the database."""
    if not folder.is_dir():
        return Finding("folder", Verdict.PROBLEM, f"{folder} does not exist", f"mkdir -p {folder}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        mend = "Give this user the right to write there, or choose another folder with --store."
        return Finding("folder", Verdict.PROBLEM, f"{folder} cannot be written ({error.strerror})", mend)
    return Finding("folder", Verdict.OK, f"{folder} can be written")


def check_disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:,.1f} GiB free"
    if free < FREE_BYTES_MIN:
        return Finding("disk", Verdict.WARNING, found, "Free some space: a like takes about 300 bytes, and needs them.")
    return Finding("disk", Verdict.OK, found)


def check_file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> Finding:
    """A store needs honest locks, and SQLite's WAL memory shared between processes: no network file system has both."""
    if (kind := _file_system_of(folder, mounts)) is None:
        return Finding("file system", Verdict.OK, "unknown; it must not be a network file system")
    if kind in NETWORK_FILE_SYSTEMS:
        mend = "Put the file on a disk of this machine: over a network, locks may lie and the file may be corrupted."
        return Finding("file system", Verdict.WARNING, f"{kind}, a network file system", mend)
    if kind in ("tmpfs", "ramfs"):
        return Finding("file system", Verdict.WARNING, kind, "Everything is lost at a reboot: put it on a disk.")
    return Finding("file system", Verdict.OK, kind)


def check_file(path: Path) -> Finding:
    """Whether the file is ours, by its header; SQLite itself is not asked, so nothing is locked or recovered."""
    from .store.sqlite.database import APPLICATION_ID, VERSION

    if not path.exists():
        return Finding("store", Verdict.OK, f"{path} will be made")
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as error:
        return Finding("store", Verdict.PROBLEM, f"{path} cannot be read ({error.strerror})", "Check its rights.")
    size = f"{path.stat().st_size / 2**20:,.1f} MiB"
    if not header:
        return Finding("store", Verdict.OK, f"{path} is empty, and will be made ours")
    version, application_id = (int.from_bytes(header[at : at + 4], "big") for at in (60, 68))
    wal = path.with_name(path.name + "-wal")
    if header.startswith(SQLITE_MAGIC) and application_id == 0 and wal.exists() and wal.stat().st_size:
        return Finding("store", Verdict.OK, f"{path}; what makes it ours has not been moved out of {wal.name} yet")
    if not header.startswith(SQLITE_MAGIC) or application_id != APPLICATION_ID:
        return Finding("store", Verdict.PROBLEM, f"{path} is not a likewise store", "Use another file.")
    if version > VERSION:
        return Finding(
            "store", Verdict.PROBLEM, f"{path} has schema {version}, newer than {VERSION}", "Upgrade likewise."
        )
    return Finding("store", Verdict.OK, f"{path}, schema {version}, {size}")


def check_store_folder(path: Path) -> Finding:
    """Whether a RocksDB store's folder is ours, by the mark in it; RocksDB itself is not asked."""
    from .store.rocksdb.folder import FORMAT, bytes_in, check

    if not path.exists():
        return Finding("store", Verdict.OK, f"{path} will be made")
    try:
        ours = check(path)
    except SetupError as error:
        return Finding("store", Verdict.PROBLEM, str(error), "Use another folder.")
    if not ours:
        return Finding("store", Verdict.OK, f"{path} is empty, and will be made ours")
    return Finding("store", Verdict.OK, f"{path}, format {FORMAT}, {bytes_in(path) / 2**20:,.1f} MiB")


def check_owner(lock: Path) -> Finding:
    """Who has the store. Its owner writes that into the lock file, and takes it out again when it ends in peace."""
    try:
        who: dict[str, Any] = json.loads(lock.read_bytes())
        pid, url = int(who["pid"]), who.get("url")
    except (OSError, ValueError, KeyError, TypeError):
        return Finding("in use", Verdict.OK, "by nobody")
    if not _alive(pid):
        return Finding("in use", Verdict.OK, "by nobody (its last owner ended unexpectedly; nothing to do)")
    mend = f"Commands talk to it with --url {url}" if url else f"Stop process {pid} before you start another one."
    return Finding("in use", Verdict.OK if url else Verdict.WARNING, f"by process {pid}", mend)


def _alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError, LikewiseError):
        return True
    return True


def _answers(settings: Settings) -> bool:
    try:
        with socket.create_connection((settings.host, settings.port), timeout=1):
            return True
    except OSError:
        return False


def _file_system_of(folder: Path, mounts: Path) -> str | None:
    """The type of the mount that holds a folder: the longest mount point that it lies under."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    found: tuple[int, str] | None = None
    for line in lines:
        _, point, kind, *_ = line.split()
        point = point.replace("\\040", " ")
        if folder.is_relative_to(point) and (found is None or len(point) >= found[0]):
            found = len(point), kind
    return found and found[1]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
