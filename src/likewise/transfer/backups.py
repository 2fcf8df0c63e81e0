"""Backups: whole stores copied into a folder while they are in use, and made stores again.

A backup is a folder of two: `store`, the copy (a file or a folder, as its tier keeps likes), and `backup.json`, which
says what it is a copy of. That is written last, so a folder without it is no backup, or one that was never finished.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import msgspec

from .. import __version__
from ..errors import Fault, InvalidInput, NotAStore, SetupError, StoreFailed
from ..model import Report, Stats
from ..store import open_store
from ..store.contract import Store
from ..store.disk import sync
from ..store.url import StoreUrl
from ..times import Clock, to_rfc3339, wall_clock

COPY = "store"
MANIFEST = "backup.json"

LEFT_OVER = ("-wal", "-journal")
"""What a database that is gone may have left beside it, and SQLite would take for part of the restored one."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup is a copy of: a store of this kind, at this time, with so many likes, at this position."""

    scheme: str
    taken_at: str
    likes: int
    position: str
    version: str


class Backup(msgspec.Struct, frozen=True):
    """A backup just made, and what verifying the copy found."""

    folder: str
    manifest: Manifest
    report: Report


async def back_up(store: Store, folder: Path, *, clock: Clock = wall_clock) -> Backup:
    """Copy a store into `folder`, which must be empty or not there; then open the copy and verify it. Writes go on.

    Raises InvalidInput where there is nothing to copy or no place for it, StoreFailed where the copy cannot be written
    or read again; then nothing is left in the folder.
    """
    folder = _made(folder)
    try:
        taken_at = to_rfc3339(clock())
        await store.backup(folder / COPY)
        report, stats = await _look_at(store.scheme, folder / COPY)
        manifest = Manifest(store.scheme, taken_at, stats.likes, str(stats.position), __version__)
        _finish(folder, manifest)  # milliseconds, right here: a thread could not be cancelled
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Backup(str(folder), manifest, report)


def restore(folder: Path, store: str) -> Report:
    """Make a new store, at the URL `store`, of the backup in `folder`; returns what verifying it found.

    Its positions are of a new epoch: those given after the backup was made are refused. It gets its name when it is
    complete. Blocks, in an event loop of its own. Raises SetupError.
    """
    manifest = _read_manifest(folder)
    wanted = StoreUrl.parse(store)
    if wanted.path is None or wanted.scheme != manifest.scheme:
        raise SetupError(
            f"{folder} is a backup of a {manifest.scheme}: store, and {store} is none. Restore it into a new "
            f"{manifest.scheme}: store, and move that: likewise move {manifest.scheme}:… {store}"
        )
    place = wanted.path.absolute()
    _check_free(place)
    with TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as beside:
        copy = Path(beside) / COPY
        (shutil.copytree if (folder / COPY).is_dir() else shutil.copyfile)(folder / COPY, copy)
        try:
            report = asyncio.run(_adopt(manifest, copy, wanted.query))
        except (NotAStore, StoreFailed) as error:
            raise SetupError(f"{folder} cannot be restored: {error}. Use another backup.") from error
        for path in (copy, *copy.rglob("*")):
            sync(path)
        _check_free(place)
        os.rename(copy, place)
    sync(place.parent)
    return report


async def _look_at(scheme: str, copy: Path) -> tuple[Report, Stats]:
    try:
        async with _opened(scheme, copy) as store:
            return await store.verify(), await store.stats()
    except (NotAStore, StoreFailed) as error:
        raise StoreFailed(f"the copy is damaged and was removed: {error}. Check the disks, then try again.") from error


async def _adopt(manifest: Manifest, copy: Path, query: str) -> Report:
    async with _opened(manifest.scheme, copy, query) as store:
        found = await store.stats()
        if (found.likes, str(found.position)) != (manifest.likes, manifest.position):
            raise NotAStore(
                f"it has {found.likes:,} likes at {found.position}, and {MANIFEST} says {manifest.likes:,} at "
                f"{manifest.position}"
            )
        await store.begin_epoch()
        return await store.verify()


@asynccontextmanager
async def _opened(scheme: str, path: Path, query: str = "") -> AsyncGenerator[Store]:
    opening = asyncio.ensure_future(open_store(f"{scheme}:{quote(str(path))}?{query}"))
    try:
        yield await asyncio.shield(opening)
    finally:
        await asyncio.wait((opening,))  # cancelled meanwhile, it opens all the same, and nobody else would close it
        if not opening.exception():
            await opening.result().close()


def _made(folder: Path) -> Path:
    folder = folder.absolute()
    try:
        folder.mkdir(exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise InvalidInput(Fault("folder", f"{folder} cannot be made: {error.strerror}")) from error
    if taken:
        raise InvalidInput(Fault("folder", f"{folder} is not empty; name a new one"))
    return folder


def _finish(folder: Path, manifest: Manifest) -> None:
    for path in folder.iterdir():
        if path.name != COPY:  # what opening the copy left beside it: a lock that nobody holds
            path.unlink()
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    for path in (folder / MANIFEST, folder, folder.parent):
        sync(path)


def _read_manifest(folder: Path) -> Manifest:
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise SetupError(
            f"{folder} is no backup, or one that was not finished: {MANIFEST} cannot be read ({error})."
        ) from error


def _check_free(place: Path) -> None:
    for path in (place, *[place.with_name(place.name + suffix) for suffix in LEFT_OVER]):
        if os.path.lexists(path):
            raise SetupError(f"{path} exists already, and stays as it is. Restore to a new name, or move it away.")
