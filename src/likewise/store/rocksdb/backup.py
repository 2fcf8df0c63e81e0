"""A copy of the directory as it stands at one moment: RocksDB's checkpoint, which links its files instead of copying.

Files of RocksDB are never changed once they are written, so a linked copy stays as it is; on another file system they
are copied. Either way, the checkpoint is first made inside the store's own directory.
"""

import os
import shutil
from pathlib import Path

from rocksdict import Checkpoint

from .database import Database, mark, sync_path

WORK = "checkpoint"


def checkpoint(database: Database, store: Path) -> Path:
    """Make a checkpoint inside the directory `store`, and return where. Blocks everybody for milliseconds if
    `Database.flush` was called right before, else until all that is in memory is in files."""
    work = store / WORK
    clear(store)
    Checkpoint(database.points).create_checkpoint(str(work))
    mark(work)
    return work


def hand_over(work: Path, folder: Path) -> None:
    """Make the checkpoint the content of `folder`, which is empty or not there, durably."""
    try:
        os.rename(work, folder)
    except OSError:  # another file system
        shutil.copytree(work, folder, dirs_exist_ok=True)
        shutil.rmtree(work)
        for file in folder.iterdir():
            sync_path(file)
    sync_path(folder)
    sync_path(folder.absolute().parent)


def clear(store: Path) -> None:
    """Remove what an interrupted backup left."""
    shutil.rmtree(store / WORK, ignore_errors=True)
