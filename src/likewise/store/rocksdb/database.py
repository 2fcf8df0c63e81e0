"""Opening a RocksDB directory: what it is, how it is configured, and RocksDB's errors in our words.

rocksdict raises plain `Exception`s whose text begins with RocksDB's status ("Corruption: …", "IO error: …").
"""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from ...errors import NotAStore, SetupError, StoreFailed
from ..writer_thread import Failure
from . import keys
from .folder import BRING_BACK
from .wal import check_logs, mend

STIR = keys.note("stir")

BLOOM_BITS = 10
"""A like that never was is looked for on disk once in a hundred times."""

MEMTABLE_MB_MAX: float = 16
"""Larger ones write a little less, and each insert into them costs more than that is worth."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What follows the `?` of `rocksdb:likes/?memory_mb=512&changes_kept_days=7`.

    `memory_mb` bounds what RocksDB holds: blocks, their indexes and filters, and what is not yet in a file.
    """

    memory_mb: Annotated[int, msgspec.Meta(ge=16, le=2**20)] = 512
    changes_kept_days: Annotated[float, msgspec.Meta(gt=0, le=36_525)] = 7


class SyncFailed(Exception):
    """An fsync failed."""


class Database:
    """An open directory: its two column families (see `keys.py`), and how to write to both at once.

    With `logs`, a folder for RocksDB's own log, it is opened as a secondary: beside the process that has it, to read
    along.
    """

    def __init__(self, path: Path, settings: Settings, logs: str | None = None) -> None:
        general, families = options(settings.memory_mb)
        if logs:
            for kind in (general, *families.values()):
                # Else each `catch_up` starts 16 threads, for the files that it does not open: 2-7 ms instead of 70 us.
                kind.set_max_file_opening_threads(1)
                kind.set_max_open_files(-1)
        access = AccessType.secondary(logs) if logs else AccessType.read_write()
        self.points = Rdict(str(path), general, families, access)
        self.lists = self.points.get_column_family("lists")
        self.lists_family = self.points.get_column_family_handle("lists")
        self._unsynced = WriteOptions()
        self._unsynced.memtable_insert_hint_per_batch = True  # batches are in the order of the keys

    def get_many(self, points: list[bytes]) -> list[bytes | None]:
        """The values of these points as they are now, durable or not; None where there is none."""
        return cast(Any, self.points).get(points)

    def write(self, batch: WriteBatch) -> None:
        """All of a batch or nothing; durable only after `sync`. Consumes the batch."""
        self.points.write(batch, self._unsynced)

    def sync(self) -> None:
        """Returns once everything written before is on disk. Other threads run meanwhile, as they do not in `write`."""
        try:
            self.points.flush_wal(True)
        except Exception as error:
            raise SyncFailed(str(error)) from error

    def flush(self) -> None:
        """Put what is in memory into files."""
        self.points.flush()
        self.lists.flush()

    def stir(self) -> None:
        """Let the WAL go on behind what is in files. A secondary learns from the WAL alone how far the database is, so
        it would not see what was put into a file before it has read it in the WAL. Between two commits, and synced: no
        record may stand behind one that is not durable yet (see `wal.py`)."""
        self.points.put(STIR, b"")
        self.sync()

    def catch_up(self) -> None:
        """Of a secondary: see what has been written by now. Raises StoreFailed."""
        try:
            self.points.try_catch_up_with_primary()
        except Exception as error:
            raise read_failed(error) from error

    def close(self) -> None:
        """Let go of the directory: nothing is written to it any more, also where a view outlives this and keeps RocksDB
        open. What RocksDB cannot put into files (a full disk) stays in the WAL."""
        del self.lists_family
        with suppress(Exception):
            self.flush()
        self.points.cancel_all_background(True)
        for family in (self.lists, self.points):
            with suppress(Exception):
                family.close()


def recovered(path: Path, settings: Settings) -> Database:
    """A directory as its last process left it, opened. Raises NotAStore, or what RocksDB does."""
    check_logs(path)
    try:
        return Database(path, settings)
    except Exception as error:
        if "Corruption" not in str(error) or not mend(path):
            raise
    return Database(path, settings)


def options(memory_mb: int) -> tuple[Options, dict[str, Options]]:
    """The options of the database, which are those of `points`, and those of `lists`: all within one budget.

    Blocks, indexes, filters and memtables share one cache. A quarter of it may be memtables.
    """
    cache = Cache(memory_mb * 2**20)
    memtables = WriteBufferManager.new_write_buffer_manager_with_cache(memory_mb * 2**20 // 4, False, cache)
    memtable_bytes = int(min(MEMTABLE_MB_MAX, max(2, memory_mb // 16)) * 2**20)
    points, lists = _options(cache, memtable_bytes, BLOOM_BITS), _options(cache, memtable_bytes, 0)
    points.set_write_buffer_manager(memtables)
    return points, {"lists": lists}


def _options(cache: Cache, memtable_bytes: int, bloom_bits: int) -> Options:
    blocks = BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    blocks.set_format_version(5)
    options = Options(raw_mode=True)
    if bloom_bits:
        blocks.set_bloom_filter(bloom_bits, False)
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_block_based_table_factory(blocks)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_size(memtable_bytes)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_bottommost_compression_type(DBCompressionType.zstd())
    options.set_max_bytes_for_level_base(8 * memtable_bytes)
    options.set_max_background_jobs(3)
    options.set_bytes_per_sync(2**20)
    options.set_max_total_wal_size(8 * memtable_bytes)
    options.set_keep_log_file_num(4)
    # A torn tail was never answered and is dropped (some are only by `wal.py`). Damage before it would be answered
    # likes: refuse to open.
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    return options


@contextmanager
def setup_errors(path: Path) -> Generator[None]:
    """What RocksDB says while opening, in words that tell what to do."""
    try:
        yield
    except SetupError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        if "Corruption" in text or "No such file" in text:
            raise NotAStore(f"{path} is damaged ({text}). {BRING_BACK}") from error
        if "No space left" in text:
            raise SetupError(f"cannot open {path}: the disk is full. Free some space.") from error
        raise SetupError(
            f"cannot open {path} ({text}). Check the folder's rights, and whether the disk is well."
        ) from error


def read_failed(error: Exception) -> StoreFailed:
    """A failed read, in words that tell what to do."""
    return StoreFailed(f"the store could not be read ({error}). If that stays, bring back a backup.", 10)


def write_failure(error: Exception) -> Failure | None:
    """What an error in the writer's thread means to it.

    After a failed fsync the kernel may have dropped what was written, and a second fsync would lie: nothing is written
    then until the directory is opened anew.
    """
    if isinstance(error, SyncFailed):
        return Failure(
            StoreFailed(f"the disk failed ({error}); whether this was stored shows after a restart.", 60),
            broken=f"an earlier write failed ({error}). Check the disk, then restart.",
        )
    if type(error) is not Exception:  # rocksdict's own are of no class of their own
        return None
    if "No space left" in str(error):
        return Failure(
            # RocksDB looks every 5 seconds whether there is room again, and then goes on by itself.
            StoreFailed(
                "the disk is full; nothing of this was stored. Free some space; writes then go on by themselves.", 10
            )
        )
    return Failure(StoreFailed(f"the store could not be written ({error}); nothing of this was stored.", 10))
