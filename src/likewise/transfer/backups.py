"""Backups: whole stores copied into a folder while they are in use, and made stores again.

A backup is a folder of two: `store`, the copy (a file or a folder, as its tier keeps likes), and `backup.json`, which
says what it is a copy of. That is written last, so a folder without it is no backup, or one that was never finished.
While it is made there is `unfinished` instead, whose making is what takes the folder: nobody else's backup goes there.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import msgspec

from .. import __version__
from ..errors import Fault, InvalidInput, NotAStore, SetupError, StoreFailed
from ..model import Position, Report, Stats
from ..store import open_store
from ..store.contract import Store
from ..store.disk import sync
from ..store.url import FRUGAL, StoreUrl
from ..store.waiting import see_out
from ..times import Clock, to_rfc3339, wall_clock

COPY = "store"
MANIFEST = "backup.json"
CLAIM = "unfinished"

BESIDE = ("-lock", "-wal", "-shm", "-journal")
"""What a copy that is a file may have beside it once it was opened."""

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
    or read again, or is not all that was answered before; then nothing of it is left.
    """
    with _claimed(folder) as place:
        before = (await store.stats()).position
        taken_at = to_rfc3339(clock())
        await store.backup(place / COPY)
        report, stats = await _look_at(store.scheme, place / COPY)
        _check_reaches(stats.position, before)
        manifest = Manifest(store.scheme, taken_at, stats.likes, str(stats.position), __version__)
        _finish(place, manifest)  # milliseconds, right here: a thread could not be cancelled
    return Backup(str(place), manifest, report)


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
        if _is_half(copy):
            raise SetupError("the restored store could not be closed. Check the disk (is it full?), then try again.")
        for path in (copy, *copy.rglob("*")):
            sync(path)
        _check_free(place)
        _name(copy, place)
    sync(place.parent)
    return report


async def _look_at(scheme: str, copy: Path) -> tuple[Report, Stats]:
    try:
        async with _opened(scheme, copy, FRUGAL[scheme]) as store:
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
async def _opened(scheme: str, path: Path, query: str) -> AsyncGenerator[Store]:
    opening = asyncio.ensure_future(open_store(f"{scheme}:{quote(str(path))}?{query}"))
    try:
        yield await asyncio.shield(opening)
    finally:
        closing = asyncio.ensure_future(_close(opening))
        await see_out((closing,))
        await closing


async def _close(opening: "asyncio.Future[Store]") -> None:
    """Close a store that may still be opening: it goes on where its opener is cancelled, and nobody else would."""
    await asyncio.wait((opening,))
    if not opening.exception():
        await opening.result().close()


@contextmanager
def _claimed(folder: Path) -> Generator[Path]:
    """The one path of a folder, made if it is not there, and nobody else's for as long as the block runs. If that
    fails, what was made here is removed again, and nothing else."""
    place = Path(os.path.realpath(folder))
    made = False
    try:
        try:
            with suppress(FileExistsError):
                place.mkdir()
                made = True
            _claim(place)
        except OSError as error:
            raise InvalidInput(Fault("folder", f"{place} cannot be made: {error.strerror}")) from error
        try:
            yield place
        except BaseException:
            _remove_copy(place / COPY)
            (place / CLAIM).unlink(missing_ok=True)
            raise
    except BaseException:
        if made:
            with suppress(OSError):  # something of others is in it
                place.rmdir()
        raise


def _claim(place: Path) -> None:
    taken = InvalidInput(Fault("folder", f"{place} is not empty; name a new one"))
    if os.listdir(place):
        raise taken
    try:
        open(place / CLAIM, "x").close()
    except FileExistsError as error:
        raise taken from error
    if os.listdir(place) != [CLAIM]:
        (place / CLAIM).unlink()
        raise taken


def _remove_copy(copy: Path) -> None:
    if copy.is_dir():
        shutil.rmtree(copy, ignore_errors=True)
    for path in (copy, *_beside(copy, BESIDE)):
        with suppress(OSError):
            path.unlink()


def _check_reaches(copied: Position, before: Position) -> None:
    """A copy may well agree with itself and be of another moment, or of nothing at all."""
    if copied.epoch != before.epoch or any(copied.offset(shard) < offset for shard, offset in before.offsets):
        raise StoreFailed(
            f"the copy ends at {copied}, before {before}, where the store was when it began, and was removed. "
            "The store itself is unharmed. Try again.",
            10,
        )


def _finish(folder: Path, manifest: Manifest) -> None:
    if _is_half(folder / COPY):
        raise StoreFailed("the copy could not be closed and was removed. Check the disk, then try again.", 10)
    for path in _beside(folder / COPY, BESIDE):
        path.unlink(missing_ok=True)
    (folder / CLAIM).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    sync(folder / CLAIM)
    os.rename(folder / CLAIM, folder / MANIFEST)
    try:
        for path in (folder, folder.parent):
            sync(path)
    except BaseException:
        (folder / MANIFEST).unlink()
        raise


def _beside(path: Path, suffixes: Iterable[str]) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in suffixes]


def _read_manifest(folder: Path) -> Manifest:
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise SetupError(
            f"{folder} is no backup, or one that was not finished: {MANIFEST} cannot be read ({error})."
        ) from error


def _is_half(copy: Path) -> bool:
    """Whether a part of a closed copy is still beside its file. The rest alone would not be the store."""
    return any(path.exists() and path.stat().st_size for path in _beside(copy, LEFT_OVER))


def _check_free(place: Path) -> None:
    for path in (place, *_beside(place, LEFT_OVER)):
        if os.path.lexists(path):
            raise _taken(path)


def _name(copy: Path, place: Path) -> None:
    """Give a copy its name, unless something else got that meanwhile."""
    try:
        if copy.is_dir():
            os.rename(copy, place)  # refuses whatever is there, but for an empty folder: nothing is lost with that
        else:
            _name_file(copy, place)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise _taken(place) from error
        raise SetupError(f"{place} cannot be made: {error.strerror}.") from error


def _name_file(copy: Path, place: Path) -> None:
    """A rename would replace another file."""
    try:
        os.link(copy, place)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        os.rename(copy, place)  # this file system has no links; that it was free was looked up right before
    else:
        copy.unlink()


def _taken(path: Path) -> SetupError:
    return SetupError(f"{path} exists already, and stays as it is. Restore to a new name, or move it away.")
