"""What a crash left of the write-ahead logs: damage is told from a torn tail, which RocksDB does not always do.

RocksDB is asked to drop a torn last record and to refuse damage before it (`database.py`). But it takes a length that
points behind the end, and a hole of zeros, for the end of a log, and drops all behind it without a word; and certain
types of records make it search for ever: `check_logs` looks for those before it recovers. And of a last commit of which
some pages did not reach the disk, it says that the log is damaged: then `mend` cuts that commit off.

A commit is written only when the one before it is synced. So a torn tail is one commit that nobody was answered, and
nothing was written behind it: if something was, answered likes are at stake.

The format: https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format
"""

import logging
import mmap
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from struct import Struct, unpack_from
from typing import NamedTuple

from ...errors import NotAStore
from ..disk import sync
from .folder import BRING_BACK

Log = mmap.mmap | bytes

BLOCK_BYTES = 32 * 1024
"""No record crosses the end of a block; it is continued by another one."""

HEADER = Struct("<IHB")
"""checksum, length, type"""

BATCH = Struct("<QI")
"""What a batch begins with: its sequence number, and how many entries it has."""

FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
SECTOR_BYTES = 512
"""A disk writes all of a sector or nothing."""

RECYCLED = range(5, 9)
"""Types that likewise never has RocksDB write."""

MAYBE_A_BATCH = re.compile(rb"(?s)(?=[\x01\x02].{6}\0\0)")
"""The type of a record that a batch begins in, before a sequence number below 2^48."""


def check_logs(folder: Path) -> None:
    """Raises NotAStore if a log is damaged before its last commit. RocksDB finds damage within records itself."""
    for log in _logs(folder):
        with _mapped(log) as data:
            damage = damage_in(data)
        if damage is not None and not mend(folder):
            raise NotAStore(f"{log} is damaged at byte {damage}. {BRING_BACK}")


def mend(folder: Path) -> bool:
    """Cut off the one commit that may be torn, if it is and nothing else is damaged; whether that was so.

    Durable, and what is cut off is kept in a file beside the log. Reads all logs, at some 7 MB/s.
    """
    torn = _torn(folder)
    if torn is None:
        return False
    log, at = torn
    kept = log.with_name(f"{log.name}.torn-at-{at}")
    kept.write_bytes(log.read_bytes()[at:])
    sync(kept)
    sync(folder)
    os.truncate(log, at)
    sync(log)
    logging.getLogger(__name__).warning(
        "%s ended in a commit that was not wholly on disk, and that nobody was answered; it was moved to %s", log, kept
    )
    return True


def damage_in(log: Log) -> int | None:
    """Where a log is unreadable although readable records follow, or RocksDB would search for ever; None if it is well,
    or only its tail is torn. By the headers alone."""
    at, end, sequence = 0, len(log), 0
    while at + HEADER.size <= end:
        room = BLOCK_BYTES - at % BLOCK_BYTES
        if room < HEADER.size:
            at += room
            continue
        _, length, kind = HEADER.unpack_from(log, at)
        if HEADER.size + length > min(room, end - at) or not (
            FULL <= kind <= LAST or (kind not in RECYCLED and _intact(log, at))
        ):
            return at if kind in RECYCLED or _batch_follows(log, at, sequence) else None
        if kind in (FULL, FIRST) and length >= BATCH.size:
            sequence = BATCH.unpack_from(log, at + HEADER.size)[0]
        at += HEADER.size + length
    return None


def _batch_follows(log: Log, at: int, sequence: int) -> bool:
    """Whether an intact record, with a batch later than `sequence`, begins at `at` or behind it."""
    for found in MAYBE_A_BATCH.finditer(log, at + HEADER.size - 1):
        start = found.start() - (HEADER.size - 1)
        room = BLOCK_BYTES - start % BLOCK_BYTES
        _, length, _ = HEADER.unpack_from(log, start)
        if BATCH.size <= length <= min(room, len(log) - start) - HEADER.size:
            found_sequence, entries = BATCH.unpack_from(log, start + HEADER.size)
            if found_sequence > sequence and entries and _intact(log, start):
                return True
    return False


class Fault(NamedTuple):
    """The first batch of a log that is not whole."""

    start: int
    """Where it begins,"""
    at: int
    """and where the first of its records does that is not intact."""
    sequence: int
    """Of the last batch whose beginning is intact, which may be this one."""
    cut: bool
    """Whether the log ends within that record: RocksDB takes that for a torn tail."""


def fault_in(log: Log) -> Fault | None:
    """By headers and checksums. None if there is none; zeros may follow the last batch."""
    at, end, sequence = 0, len(log), 0
    start: int | None = None  # of the batch that `at` is within
    while at < end:
        room = BLOCK_BYTES - at % BLOCK_BYTES
        if room < HEADER.size:
            at += room
            continue
        batch = at if start is None else start
        _, length, kind = HEADER.unpack_from(log, at) if at + HEADER.size <= end else (0, BLOCK_BYTES, 0)
        if at + HEADER.size + length > end:
            return Fault(batch, at, sequence, True)
        if start is None and not kind and _blank(log, at):
            return None
        begins = kind not in (MIDDLE, LAST)
        if begins != (start is None) or kind in (0, *RECYCLED) or HEADER.size + length > room or not _intact(log, at):
            return Fault(batch, at, sequence, False)
        if kind in (FULL, FIRST):
            start = at
            if length >= BATCH.size:
                sequence = BATCH.unpack_from(log, at + HEADER.size)[0]
        if kind in (FULL, LAST):
            start = None
        at += HEADER.size + length
    return None if start is None else Fault(start, end, sequence, True)


def _torn(folder: Path) -> tuple[Path, int] | None:
    """The log that ends in a torn batch, and where that begins; None if there is none, or if anything is damaged before
    it: what is left when it is cut off is all well, so that a second look cannot take a batch before it for torn.

    It is in the last log that holds anything. The one behind it may be empty: a flush, for a backup, has RocksDB begin
    a new log also between a write and its sync.
    """
    torn: tuple[Path, int] | None = None
    for log in reversed(_logs(folder)):
        with _mapped(log) as data:
            if torn is None and _blank(data, 0):
                continue
            fault = fault_in(data)
            if torn is None:
                if fault is None or _written_behind(data, fault):
                    return None
                torn = log, fault.start
            elif fault is not None and not fault.cut:
                return None
    return torn


def _written_behind(log: Log, fault: Fault) -> bool:
    """Whether a batch was begun behind this one, which therefore was synced."""
    if _batch_follows(log, fault.at, fault.sequence):
        return True
    end = _end_of_batch(log, fault.start)
    return end is not None and not _blank(log, end)


def _end_of_batch(log: Log, at: int) -> int | None:
    """Where a batch ends by its headers, whatever its content; None if they do not tell."""
    kinds = (FULL, FIRST)
    while at + HEADER.size <= len(log):
        room = BLOCK_BYTES - at % BLOCK_BYTES
        if room < HEADER.size:
            at += room
            continue
        _, length, kind = HEADER.unpack_from(log, at)
        in_sector = SECTOR_BYTES - at % SECTOR_BYTES
        half = in_sector < HEADER.size and not any(log[at : at + in_sector])  # the length may not have arrived
        if half or kind not in kinds or HEADER.size + length > min(room, len(log) - at):
            return None
        at += HEADER.size + length
        if kind in (FULL, LAST):
            return at
        kinds = (MIDDLE, LAST)
    return None


def _blank(log: Log, at: int) -> bool:
    return not log[at:].strip(b"\0")


def _logs(folder: Path) -> list[Path]:
    """Those that hold anything, the oldest first."""
    logs = [log for log in folder.glob("*.log") if log.stem.isdecimal() and log.stat().st_size]
    return sorted(logs, key=lambda log: int(log.stem))


@contextmanager
def _mapped(log: Path) -> Generator[mmap.mmap]:
    with open(log, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _intact(log: Log, at: int) -> bool:
    checksum, length, _ = HEADER.unpack_from(log, at)
    content = log[at + HEADER.size - 1 : at + HEADER.size + length]  # the type, and what is behind the header
    crc, odd, table = 0xFFFFFFFF, len(content) % 2, _crc32c_of_pairs()
    if odd:
        crc = CRC32C[(crc ^ content[0]) & 0xFF] ^ (crc >> 8)
    pairs: tuple[int, ...] = unpack_from(f"<{len(content) // 2}H", content, odd)
    for pair in pairs:
        crc = table[(crc ^ pair) & 0xFFFF] ^ (crc >> 16)
    crc ^= 0xFFFFFFFF
    return checksum == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF  # "masked", as a log holds it


def _crc32c(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)
    return byte


CRC32C = [_crc32c(byte) for byte in range(256)]


@cache
def _crc32c_of_pairs() -> list[int]:
    """The same for two bytes at a time, which is twice as fast."""
    return [CRC32C[(pair >> 8 ^ CRC32C[pair & 0xFF]) & 0xFF] ^ CRC32C[pair & 0xFF] >> 8 for pair in range(2**16)]
