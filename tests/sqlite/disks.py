"""Disks that fail on command: SQLite VFSs between the store and the real files.

`Disk` counts and can refuse; `CachingDisk` keeps writes in memory until they are synced, as a kernel does, and can lose
them, as a power cut does. Use them with `sqlite:path?vfs=NAME`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import apsw

D = TypeVar("D", bound=apsw.VFS)


class Disk(apsw.VFS):
    """The real disk, until told otherwise.

    `quota` bounds the bytes of all files together, None for no bound. `sync_fails` makes every fsync fail, of files
    whose name ends with it ("" is every file).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.quota: int | None = None
        self.sync_fails: str | None = None
        self.sizes: dict[str, int] = {}
        self.syncs = 0
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> "DiskFile":
        return DiskFile(self, name, flags)

    def room_for(self, file: str, size: int) -> None:
        """Raises if the file may not grow to this size."""
        grown = max(size, self.sizes.get(file, 0))
        if self.quota is not None and sum(self.sizes.values()) - self.sizes.get(file, 0) + grown > self.quota:
            raise apsw.FullError("no space left on the test's disk")
        self.sizes[file] = grown


class DiskFile(apsw.VFSFile):
    """A file on a `Disk`."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        self.file = name.filename() if isinstance(name, apsw.URIFilename) else name or "a temporary file"
        super().__init__("", name, flags)
        disk.sizes[self.file] = super().xFileSize()

    def xWrite(self, data: bytes, offset: int) -> None:
        self.disk.room_for(self.file, offset + len(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self.disk.sizes[self.file] = newsize

    def xSync(self, flags: int) -> None:
        self.disk.syncs += 1
        if self.disk.sync_fails is not None and self.file.endswith(self.disk.sync_fails):
            raise apsw.IOError("the test's disk cannot sync")
        super().xSync(flags)


class CachingDisk(apsw.VFS):
    """A disk behind a cache, as behind any kernel: what is written is seen at once, and is on the disk once synced.

    After `cut`, or by itself after `lives` more writes and syncs, every call fails, and what was not synced is gone:
    all of it, or with `tears` a random part of it stays, as on a disk that had begun to write back by itself.
    With `lies`, a sync returns and does nothing, as on a broken disk. `used` counts writes, syncs and the like.
    """

    def __init__(self, name: str, *, lives: int | None = None, tears: Random | None = None, lies: bool = False) -> None:
        self.name = name
        self.cached: dict[str, bytearray] = {}
        self.unsynced: dict[str, list[tuple[int, bytes]]] = {}
        self.lies = lies
        self.dead = False
        self.used = 0
        self._lives = lives
        self._tears = tears
        self.lock = threading.RLock()
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> "CachedFile":
        return CachedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self.lock:
            self.live()
            self.cached.pop(filename, None)
            self.unsynced.pop(filename, None)
            super().xDelete(filename, syncdir)

    def live(self) -> None:
        """One more write or sync. Raises where the power is gone."""
        if not self.dead and self.used == self._lives:
            self.cut()
        self.check()
        self.used += 1

    def check(self) -> None:
        if self.dead:
            raise apsw.IOError("the power is gone")

    def cut(self) -> None:
        """Pull the plug."""
        with self.lock:
            self.dead = True
            if self._tears:
                for file, writes in self.unsynced.items():
                    for offset, data in writes:
                        if self._tears.random() < 0.5:
                            write_back(file, [(offset, data[: self._tears.randint(0, len(data))])])


class CachedFile(apsw.VFSFile):
    """A file on a `CachingDisk`; handles of one file share its cache."""

    def __init__(self, disk: CachingDisk, name: Any, flags: list[int]) -> None:
        disk.check()
        self.disk = disk
        self.file = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("", name, flags)
        with disk.lock:
            if self.file not in disk.cached:
                disk.cached[self.file] = bytearray(Path(self.file).read_bytes())

    def xRead(self, amount: int, offset: int) -> bytes:
        self.disk.check()
        return bytes(self.disk.cached[self.file][offset : offset + amount])

    def xFileSize(self) -> int:
        self.disk.check()
        return len(self.disk.cached[self.file])

    def xWrite(self, data: bytes, offset: int) -> None:
        with self.disk.lock:
            self.disk.live()
            cached = self.disk.cached[self.file]
            cached.extend(bytes(max(0, offset - len(cached))))
            cached[offset : offset + len(data)] = data
            self.disk.unsynced.setdefault(self.file, []).append((offset, data))

    def xTruncate(self, newsize: int) -> None:
        # Written through: the store truncates only what it no longer needs, and a lost truncation would be milder.
        with self.disk.lock:
            self.disk.live()
            super().xTruncate(newsize)
            del self.disk.cached[self.file][newsize:]

    def xSync(self, flags: int) -> None:
        with self.disk.lock:
            self.disk.live()
            if not self.disk.lies:
                write_back(self.file, self.disk.unsynced.pop(self.file, []))


def write_back(file: str, writes: list[tuple[int, bytes]]) -> None:
    """Put cached writes on the real disk."""
    with open(file, "r+b") as disk:
        for offset, data in writes:
            disk.seek(offset)
            disk.write(data)


@contextmanager
def plugged_in(make: Callable[[], D]) -> Iterator[D]:
    """A disk for as long as it is needed."""
    disk = make()
    try:
        yield disk
    finally:
        disk.unregister()
