"""The bare SQLite loop: the rows of our tables, in our schema, by `executemany`, and nothing else.

Same page size, cache and WAL size; checkpoints in line. Repeats are removed by `on conflict do nothing returning`.
"""

import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import cast

import apsw

from likewise.store.sqlite import WAL_MB, Settings
from likewise.store.sqlite.database import PAGE_BYTES

from . import Disk, Pair

PUT_LIKE = """insert into user_likes (user_id, rank, item_id, liked_at) values (?, 0, ?, ?)
on conflict do nothing returning user_id, item_id, liked_at"""
PUT_TIMELINE = "insert into user_likes (user_id, rank, item_id, liked_at) values (?, ?, ?, ?)"
PUT_LIKER = "insert into item_likes (item_id, rank, user_id) values (?, ?, ?)"
ADD_COUNT = """insert into item_likes (item_id, rank, user_id, likes, version) values (?, 0, '', ?, ?)
on conflict do update set likes = likes + excluded.likes, version = excluded.version"""
PUT_CHANGE = "insert into changes (seq, at, user_id, item_id, liked, liked_at) values (?, ?, ?, ?, 1, ?)"
PUT_NOTE = "insert or replace into notes values ('bare', ?)"
LIKES_TABLES = ("user_likes", "item_likes", "notes")


class BareSqlite:
    """A file with our schema and settings: a new one, or one of ours. See `Bare`."""

    def __init__(self, file: Path) -> None:
        new = not file.exists()
        self._connection = apsw.Connection(str(file))
        _configure(self._connection)
        if new:
            schema = resources.files("likewise.store.sqlite").joinpath("schema.sql").read_text(encoding="utf-8")
            self._connection.execute(schema + "insert into notes values ('likes', 0);")
        self._seq = cast(int, self._connection.execute("select ifnull(max(seq), 0) from changes").fetchall()[0][0])

    def apply(self, pairs: list[Pair]) -> None:
        """One transaction: these likes, in order of their keys."""
        now = time.time_ns() // 1000
        cursor = self._connection.cursor()
        cursor.execute("begin immediate")
        rows = sorted((user, item, now + k) for k, (user, item) in enumerate(pairs))
        new = cast(list[tuple[str, str, int]], cursor.executemany(PUT_LIKE, rows).fetchall())
        cursor.executemany(PUT_TIMELINE, [(user, ~at, item, at) for user, item, at in new])
        cursor.executemany(PUT_LIKER, sorted([(item, ~at, user) for user, item, at in new]))
        counts = Counter([item for _, item, _ in new])
        cursor.executemany(ADD_COUNT, [(item, n, self._seq) for item, n in sorted(counts.items())])
        changes = enumerate(sorted(new, key=lambda row: row[2]), self._seq + 1)
        cursor.executemany(PUT_CHANGE, [(seq, at, user, item, at) for seq, (user, item, at) in changes])
        cursor.execute("update notes set value = value + ? where key = 'likes'", (len(new),))
        cursor.execute("commit")
        self._seq += len(new)

    def commit(self) -> None:
        """One row of one page (WAL, fsynced)."""
        self._connection.execute(PUT_NOTE, (time.time_ns(),))

    def disk(self) -> Disk:
        """The pages of the tables."""
        rows = self._connection.execute("select name, pgsize from dbstat where aggregate = true").fetchall()
        pages = dict(cast(list[tuple[str, int]], rows))
        return Disk(sum(pages[table] for table in LIKES_TABLES), pages["changes"])

    def close(self) -> None:
        self._connection.close()


def _configure(connection: apsw.Connection) -> None:
    """The tier's settings; checkpoints at its WAL size, in line."""
    connection.execute(f"pragma page_size = {PAGE_BYTES}")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma temp_store = memory")
    connection.execute(f"pragma wal_autocheckpoint = {WAL_MB * 2**20 // PAGE_BYTES}")
    connection.execute(f"pragma cache_size = {-int(Settings().cache_mb * 3 / 4 * 1024)}")
