"""One process owns a database file. The proof is a lock on a file beside it, which dies with the process.

The lock is not taken on the database itself: closing any handle of a file drops all of a process's POSIX locks on it,
SQLite's own included.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import SetupError, StoreInUse

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Owner:
    """Holds the lock of a database file from construction to `release`.

    Raises StoreInUse if another process has it, SetupError if the folder cannot be written.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + "-lock")
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
            raise _in_use(database, who) from error
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


def _in_use(database: Path, who: dict[str, Any]) -> StoreInUse:
    url, pid = who.get("url"), who.get("pid", "unknown")
    mend = f"Talk to it: add --url {url}" if url else "Stop that process first, or use another file."
    return StoreInUse(f"{database} is in use by process {pid}. {mend}", url)
