"""A copy of the directory as it stands at one moment: RocksDB's checkpoint, which links its files instead of copying.

Files of RocksDB are never changed once they are written, so a linked copy stays as it is; on another file system they
are copied. Either way, the checkpoint is first made inside the store's own directory.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from rocksdict import Checkpoint

from ...errors import LikewiseError, StoreFailed
from ..disk import sync
from .database import Database
from .folder import mark
from .writer import Writer

WORK = "checkpoint"


async def back_up(database: Database, writer: Writer, store: Path, copy: Path, check: Callable[[], None]) -> None:
    """See `Store.backup`; one at a time. `check` is called now and then, and what it raises ends the copy."""
    try:
        if await asyncio.to_thread(copy.exists):
            raise StoreFailed(f"{copy} exists already. Choose another place.", 10)
        await asyncio.to_thread(database.flush)  # here, and not in the checkpoint, which everybody waits for
        check()
        work = await writer.here(lambda: _checkpoint(database, store))
        await asyncio.to_thread(_move, work, copy, check)
    except LikewiseError:
        raise
    except Exception as error:  # the file system's or the driver's, whose errors have no class of their own
        what = f"the copy {copy} could not be written: {error}. The store itself is unharmed."
        raise StoreFailed(what, 10) from error
    finally:
        await asyncio.to_thread(clear, store)


def clear(store: Path) -> None:
    """Remove what a backup has left."""
    shutil.rmtree(store / WORK, ignore_errors=True)


def _checkpoint(database: Database, store: Path) -> Path:
    clear(store)
    Checkpoint(database.points).create_checkpoint(str(store / WORK))
    database.stir()
    return store / WORK


def _move(work: Path, copy: Path, check: Callable[[], None]) -> None:
    mark(work)
    try:
        os.rename(work, copy)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy.mkdir()
        try:
            for file in work.iterdir():
                check()
                shutil.copyfile(file, copy / file.name)
                sync(copy / file.name)
        except BaseException:
            shutil.rmtree(copy, ignore_errors=True)
            raise
    sync(copy)
    sync(copy.absolute().parent)
