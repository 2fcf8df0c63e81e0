"""A copy of the database as it stands at one moment, page by page, while the writer goes on.

One read transaction around SQLite's backup: without it, every commit would make the copy begin anew, and a busy store
would never be copied (docs/decisions/006-online-backups.md).
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw

from ...errors import StoreFailed
from ..disk import sync
from .database import query, transaction

STEP_PAGES = 2_000
"""Copied between two looks at whether the copy is still wanted: a few milliseconds."""


def back_up(connect: Callable[[], apsw.Connection], copy: Path, vfs: str | None, check: Callable[[], None]) -> None:
    """See `Store.backup`. Blocks; `check` is called now and then, and what it raises ends the copy."""
    if copy.exists():
        raise StoreFailed(f"{copy} exists already. Choose another place.", 10)
    try:
        _copy_pages(connect, copy, vfs, check)
        sync(copy)
        sync(copy.absolute().parent)
    except (apsw.Error, OSError) as error:
        remove(copy)
        why = "the disk is full" if isinstance(error, apsw.FullError) else str(error)
        raise StoreFailed(f"the copy {copy} could not be written: {why}. The store itself is unharmed.", 10) from error
    except BaseException:
        remove(copy)
        raise


def _copy_pages(connect: Callable[[], apsw.Connection], copy: Path, vfs: str | None, check: Callable[[], None]) -> None:
    source = connect()
    try:
        target = apsw.Connection(str(copy), vfs=vfs)
        try:
            query(target, "pragma synchronous = off")  # one fsync, when all of it is written
            with transaction(source, "deferred"):
                query(source, "select 1 from notes")  # the moment: a transaction begins with its first read
                with target.backup("main", source, "main") as pages:
                    while not pages.step(STEP_PAGES):
                        check()
        finally:
            target.close()
    finally:
        source.close()


def remove(copy: Path) -> None:
    """Leave nothing of a copy."""
    for path in (copy, copy.with_name(copy.name + "-journal")):
        with suppress(OSError):
            path.unlink()
