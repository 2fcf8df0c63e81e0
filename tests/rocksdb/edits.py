"""Damage to plant: entries put and removed behind the store's back, of an open store or of a closed directory."""

from collections.abc import Sequence
from pathlib import Path

from likewise.store.rocksdb import RocksStore, Settings, keys
from likewise.store.rocksdb.database import Database
from likewise.store.rocksdb.writer import Draft

Edit = tuple[bytes, bytes | None]
"""A key, and its new value; None removes it. The key's first byte tells its column family."""

LISTS = (keys.TIMELINE, keys.LIKERS, keys.CHANGES)


def timeline(user_id: str, liked_at: int, item_id: str) -> bytes:
    return keys.ranked(keys.timeline_of(user_id), liked_at, item_id)


def liker(item_id: str, liked_at: int, user_id: str) -> bytes:
    return keys.ranked(keys.likers_of(item_id), liked_at, user_id)


async def plant(store: RocksStore, edits: Sequence[Edit]) -> None:
    """Into an open store, between two of its commits."""

    def fill(draft: Draft) -> None:
        _fill(draft, store._database, edits)

    await store._writer.run(fill)


def plant_closed(path: Path, edits: Sequence[Edit]) -> None:
    """Into a directory that nobody has open."""
    database = Database(path, Settings(memory_mb=16))
    draft = Draft(database, None)  # pyright: ignore[reportArgumentType]
    _fill(draft, database, edits)
    database.write(draft.batch)
    database.close()


def _fill(draft: Draft, database: Database, edits: Sequence[Edit]) -> None:
    for key, value in edits:
        family = [database.lists_family] if key[:1] in LISTS else []
        if value is None:
            draft.batch.delete(key, *family)
        else:
            draft.batch.put(key, value, *family)
