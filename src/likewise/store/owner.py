"""One process owns a store on disk. The proof is a lock on a file made for it, which dies with the process.

The lock is on no file of the database itself: closing any handle of a file drops all of a process's POSIX locks on it,
the engine's own included.
"""

import json
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import SetupError, StoreInUse

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def own_file(database: Path) -> Path:
    """The one path of a database file, however it was named: two owners by two names would each have a lock.

    Raises SetupError for what has no such path: a file of several names (hard links), or no file at all.
    """
    path = Path(os.path.realpath(database))
    try:
        found = path.stat()
    except OSError:  # not there yet; or opening says it better
        return path
    if stat.S_ISDIR(found.st_mode):
        raise SetupError(f"{path} is a folder; name a file in it: sqlite:{path / 'likes.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise SetupError(f"{path} is not a file that likes could be kept in. Name another one.")
    if found.st_nlink > 1:
        raise SetupError(
            f"{path} has {found.st_nlink} names (hard links). Under each of them another process could take it for its "
            f"own, which corrupts it. Remove the other names (find them with: find / -xdev -samefile {path}), or use "
            "a copy of the file."
        )
    return path


class Owner:
    """Holds the lock of a store, on the file `lock`, from construction to `release`.

    `store` is the one path of what is owned. Raises StoreInUse if another process has it, SetupError if the lock's
    folder cannot be written.
    """

    def __init__(self, store: Path, lock: Path) -> None:
        self.path = lock
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise SetupError(
                f"cannot write in {self.path.parent.absolute()}: {error.strerror}. "
                "Choose a folder that exists and that this user may write to."
            ) from error
        try:
            _lock(self._handle)
        except OSError as error:
            who = self._read()
            os.close(self._handle)
            raise _in_use(store, who) from error
        self.announce(None)

    def announce(self, url: str | None) -> None:
        """Say where this process serves the store, for whoever is refused it."""
        os.ftruncate(self._handle, 0)
        with suppress(OSError):  # on a full disk; what is there can be read all the same
            os.pwrite(self._handle, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)

    def release(self) -> None:
        """Give the file back. The lock file stays: removing it would race with the next owner."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(os.pread(self._handle, 4096, 0))
        except ValueError:
            return {}


def _in_use(store: Path, who: dict[str, Any]) -> StoreInUse:
    url, pid = who.get("url"), who.get("pid", "unknown")
    mend = f"Talk to it, with --url {url} in place of --store." if url else "Stop that process, or use another store."
    return StoreInUse(f"{store} is in use by process {pid}. {mend}", url)
