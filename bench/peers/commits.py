"""A loop of bare SQLite commits: what one answered like must wait for, and no more."""

import time
from pathlib import Path

import apsw

from .bulk import configure


def commit_times_ms(folder: Path, seconds: float) -> list[float]:
    """The time of each commit of one row, one after the other (WAL, fsynced)."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(folder / "commits.db"))
    try:
        configure(connection)
        connection.execute("create table if not exists likes (user_id, item_id, liked_at)")
        return _commits(connection.cursor(), seconds)
    finally:
        connection.close()


def _commits(cursor: apsw.Cursor, seconds: float) -> list[float]:
    times: list[float] = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        cursor.execute("insert into likes values (?, ?, ?)", ("u10000000000", "i10000000000", len(times)))
        times.append((time.perf_counter() - began) * 1e3)
    return times
