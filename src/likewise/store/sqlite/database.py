"""Opening a database file: what it is, how it is configured, and SQLite's errors in our words."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import apsw

from ...errors import Closed, NotAStore, SetupError, StoreFailed, Unavailable
from ..writer_thread import Failure

APPLICATION_ID = 0x4C694B65
"""'LiKe': marks a file as ours."""

VERSION = 1
"""Of the schema. A file of a newer one is refused, of an older one migrated."""

WAL_FILE_MB_MAX = 64
"""What the file of a WAL that starts over is cut to. A copy or a long read makes it grow; without this it would stay so
until the store is closed. Above what the checkpoints keep it to, so that it is not cut at every one."""

PAGE_BYTES = 2048
"""Small pages: a random like dirties a whole page of each view (docs/decisions/002-sqlite-layout.md)."""


def statements(file: str = "statements.sql") -> dict[str, str]:
    """The named statements of a file beside this one."""
    found: dict[str, str] = {}
    for block in _sql(file).split("-- name: ")[1:]:
        name, *lines = block.splitlines()
        found[name.strip()] = "\n".join(line for line in lines if not line.startswith("--")).strip()
    return found


def query(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement to its end; its rows."""
    return connection.execute(sql, bindings).fetchall()  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]


def read(connection: apsw.Connection, sql: str, bindings: Sequence[Any]) -> list[tuple[Any, ...]]:
    """`query` for the readers of likes. Raises Closed or StoreFailed."""
    try:
        return query(connection, sql, bindings)
    except apsw.Error as error:
        raise _read_error(error) from error


@contextmanager
def snapshot(connection: apsw.Connection) -> Generator[None]:
    """Everything read within is of one moment. Raises Closed or StoreFailed."""
    try:
        with transaction(connection, "deferred"):
            yield
    except apsw.Error as error:
        raise _read_error(error) from error


def _read_error(error: apsw.Error) -> Unavailable:
    if isinstance(error, apsw.ConnectionClosedError):
        return Closed("the store is closed")
    return StoreFailed(f"the database could not be read ({error})", 10)


def pragma(connection: apsw.Connection, name: str) -> int:
    """A setting of the connection that is a number."""
    return query(connection, f"pragma {name}")[0][0]


def open_database(path: Path, cache_mb: float, epoch: int, vfs: str | None = None) -> apsw.Connection:
    """The first connection to a file: makes a new or empty one ours. Raises NotAStore, and then has changed nothing."""
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        if connection.readonly("main"):  # SQLite makes do with that, and would fail at the first like
            raise apsw.ReadOnlyError("the file may not be written")
        new = _is_new(connection, path)
        configure(connection, cache_mb)
        if new:
            _create(connection, epoch)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path, cache_mb: float, vfs: str | None = None) -> apsw.Connection:
    """A further connection to a database that is open already."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    configure(connection, cache_mb)
    return connection


def configure(connection: apsw.Connection, cache_mb: float) -> None:
    """WAL, an fsync at each commit, no automatic checkpoints (`checkpointer.py` makes them)."""
    connection.set_busy_timeout(5_000)
    query(connection, f"pragma page_size = {PAGE_BYTES}")
    query(connection, "pragma journal_mode = wal")
    query(connection, "pragma synchronous = full")
    query(connection, "pragma wal_autocheckpoint = 0")
    query(connection, f"pragma journal_size_limit = {WAL_FILE_MB_MAX * 2**20}")
    query(connection, "pragma temp_store = memory")
    query(connection, f"pragma cache_size = {-int(cache_mb * 1024)}")


def _is_new(connection: apsw.Connection, path: Path) -> bool:
    application_id, version = pragma(connection, "application_id"), pragma(connection, "user_version")
    empty = not query(connection, "select 1 from sqlite_schema limit 1")
    if application_id == APPLICATION_ID and version > VERSION:
        raise NotAStore(
            f"{path} was written by a newer likewise (schema {version}, this one knows {VERSION}). "
            "Upgrade likewise, or use another file."
        )
    if application_id != APPLICATION_ID and (application_id or not empty):
        raise NotAStore(f"{path} is a database of another application. Give likewise a file of its own.")
    return empty


def _create(connection: apsw.Connection, epoch: int) -> None:
    with transaction(connection, "immediate"):
        query(connection, _sql("schema.sql"))
        query(connection, "insert into notes values ('epoch', ?), ('likes', 0)", (epoch,))
        query(connection, f"pragma application_id = {APPLICATION_ID}")
        query(connection, f"pragma user_version = {VERSION}")
    query(connection, "pragma wal_checkpoint")  # so that the file itself says what it is


@contextmanager
def transaction(connection: apsw.Connection, kind: Literal["deferred", "immediate"]) -> Generator[None]:
    """All or nothing: `deferred` reads from one snapshot, `immediate` writes."""
    query(connection, f"begin {kind}")
    try:
        yield
        query(connection, "commit")
    except BaseException:
        if connection.in_transaction:
            query(connection, "rollback")
        raise


@contextmanager
def setup_errors(path: Path) -> Generator[None]:
    """What SQLite says while opening, in words that tell what to do."""
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise NotAStore(f"{path} is not a likewise database ({error}). Use another file.") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise SetupError(f"cannot open {path.absolute()} for writing ({error}). Check the folder's rights.") from error
    except apsw.FullError as error:
        raise SetupError(f"cannot set up {path.absolute()}: the disk is full. Free some space.") from error
    except apsw.Error as error:
        raise SetupError(f"cannot open {path.absolute()} ({error}).") from error


def write_error(error: apsw.Error) -> StoreFailed:
    """A failed commit, in words that tell what to do.

    The batch was rolled back; only after a failed fsync may it be on disk all the same, for the next to open the file.
    """
    if isinstance(error, apsw.FullError):
        return StoreFailed("the disk is full; nothing of this was stored. Free some space, then ask again.", 10)
    if isinstance(error, apsw.IOError):
        return StoreFailed(f"the disk failed ({error}); whether this was stored shows after a restart.", 60)
    return StoreFailed(f"the database could not be written ({error}); nothing of this was stored.", 10)


def write_failure(error: Exception) -> Failure | None:
    """What an error in the writer's thread means to it.

    After a failed fsync the kernel may have dropped the pages, and a second fsync would lie: nothing is written then
    until the file is opened anew, which reads what is really there.
    """
    if not isinstance(error, apsw.Error):
        return None
    broken = isinstance(error, apsw.IOError)
    return Failure(
        write_error(error), f"an earlier write failed ({error}). Check the disk, then restart." if broken else None
    )


def _sql(name: str) -> str:
    return resources.files(__name__.rpartition(".")[0]).joinpath(name).read_text(encoding="utf-8")
