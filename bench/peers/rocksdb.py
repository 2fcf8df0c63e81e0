"""The bare RocksDB loop: per batch one multi-get, one `WriteBatch` of the keys and values of our layout, one fsync.

Same options as the tier's, and the same order of keys. Repeats are removed by the multi-get.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

from rocksdict import Rdict, WriteBatch, WriteOptions

from likewise.store.rocksdb import Settings, keys
from likewise.store.rocksdb.database import options
from likewise.store.rocksdb.values import Tip, changes_to_bytes, row_to_bytes, tally_of, tally_to_bytes
from likewise.store.rocksdb.view import TIP

from . import Disk, Pair

NOTE = keys.note("bare")


class BareRocksdb:
    """A directory with our column families and settings: a new one, or one of ours. See `Bare`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        general, families = options(Settings().memory_mb)
        self._points = Rdict(str(folder), general, families)
        self._lists = self._points.get_column_family_handle("lists")
        self._options = WriteOptions()
        self._options.memtable_insert_hint_per_batch = True
        (tip,) = self._get([TIP])
        self._tip = Tip.of(tip) if tip else Tip()

    def apply(self, pairs: list[Pair]) -> None:
        """One batch: these likes, in order of their keys."""
        arrived = {pair: at for at, pair in enumerate(pairs, time.time_ns() // 1000)}
        pairs = sorted(arrived)
        items = sorted({item for _, item in pairs})
        found = self._get([keys.register(*pair) for pair in pairs] + [keys.count(item) for item in items])
        new = [(*pair, arrived[pair]) for pair, value in zip(pairs, found, strict=False) if value is None]
        if new:
            self._write(self._batch(new, dict(zip(items, found[len(pairs) :], strict=True))))

    def commit(self) -> None:
        """One key, fsynced."""
        batch = WriteBatch(raw_mode=True)
        batch.put(NOTE, time.time_ns().to_bytes(8, "big"))
        self._write(batch)

    def disk(self) -> Disk:
        """All files of the directory, once what was only in the log is in tables."""
        self._points.flush()
        self._points.get_column_family("lists").flush()
        return Disk(sum(file.stat().st_size for file in self._folder.iterdir()), None)

    def close(self) -> None:
        del self._lists
        self._points.close()

    def _batch(self, new: list[tuple[str, str, int]], counts: dict[str, bytes | None]) -> WriteBatch:
        batch = WriteBatch(raw_mode=True)
        put, lists = batch.put, self._lists
        likers: list[bytes] = []
        for user, item, at in new:
            put(keys.register(user, item), row_to_bytes((at, None)))
            put(keys.ranked(keys.timeline_of(user), at, item), b"", lists)
            likers.append(keys.ranked(keys.likers_of(item), at, user))
        for key in sorted(likers):
            put(key, b"", lists)
        tip = self._tip
        offset = tip.offset + len(new)
        for item, n in sorted(Counter([item for _, item, _ in new]).items()):
            stored = counts[item]
            put(keys.count(item), tally_to_bytes(((tally_of(stored)[0] if stored else 0) + n, offset)))
        new = sorted(new, key=lambda row: row[2])
        changes = [(k, at, user, item, None, True, at) for k, (user, item, at) in enumerate(new, tip.offset + 1)]
        put(keys.changes(offset), changes_to_bytes(changes), lists)
        self._tip = Tip(offset, new[-1][2], tip.first or tip.offset + 1, tip.likes + len(new))
        put(TIP, self._tip.to_bytes())
        return batch

    def _get(self, of: list[bytes]) -> list[bytes | None]:
        """By one multi-get; rocksdict's types know only that of one key."""
        return cast(Any, self._points).get(of)

    def _write(self, batch: WriteBatch) -> None:
        self._points.write(batch, self._options)
        self._points.flush_wal(True)
