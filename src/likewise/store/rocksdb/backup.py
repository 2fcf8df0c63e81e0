"""A copy of the directory as it stands at one moment: RocksDB's checkpoint, which links its files instead of copying.

Files of RocksDB are never changed once they are written, so a linked copy stays as it is; on another file system they
are copied. Either way, the checkpoint is first made inside the store's own directory.
"""

import asyncio
import errno
import os
import shutil
from pathlib import Path

from rocksdict import Checkpoint

from ...errors import StoreFailed
from ..disk import sync
from .database import Database
from .folder import mark

WORK = "checkpoint"


def checkpoint(database: Database, store: Path) -> Path:
    """Make a checkpoint inside the directory `store`, and return where. Blocks everybody for milliseconds if
    `Database.flush` was called right before, else until all that is in memory is in files."""
    work = store / WORK
    clear(store)
    Checkpoint(database.points).create_checkpoint(str(work))
    database.stir()
    mark(work)
    return work


async def hand_over(work: Path, copy: Path) -> None:
    """Move the checkpoint to `copy`, durably. Raises StoreFailed; then, and if cancelled, nothing is left there."""
    if await asyncio.to_thread(copy.exists):
        raise StoreFailed(f"{copy} exists already. Choose another place.", 10)
    moving = asyncio.ensure_future(asyncio.to_thread(_move, work, copy))
    try:
        await asyncio.shield(moving)
    except BaseException as error:
        await asyncio.wait([moving])
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(copy, ignore_errors=True)
        if isinstance(error, OSError):
            raise StoreFailed(
                f"the copy {copy} could not be written: {error}. The store itself is unharmed.", 10
            ) from error
        raise


def _move(work: Path, copy: Path) -> None:
    try:
        os.rename(work, copy)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(work, copy)
        for file in copy.iterdir():
            sync(file)
        shutil.rmtree(work)
    sync(copy)
    sync(copy.absolute().parent)


def clear(store: Path) -> None:
    """Remove what an interrupted backup left."""
    shutil.rmtree(store / WORK, ignore_errors=True)
