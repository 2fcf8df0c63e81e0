"""A look through the write-ahead logs, before RocksDB recovers from them.

RocksDB is asked to drop a torn last record and to refuse damage before it (`database.py`). But it takes a length that
points behind the end, and a hole of zeros, for the end of a log, and drops all behind it without a word; and certain
types of records make it search for ever. A torn tail is one commit that nobody was answered, so no other record can
stand behind it: if one does, answered likes are at stake.

The format: https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format
"""

import mmap
import re
from pathlib import Path
from struct import Struct

from ...errors import NotAStore
from .folder import BRING_BACK

BLOCK_BYTES = 32 * 1024
"""No record crosses the end of a block; it is continued by another one."""

HEADER = Struct("<IHB")
"""checksum, length, type"""

BATCH = Struct("<QI")
"""What a batch begins with: its sequence number, and how many entries it has."""

FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
RECYCLED = range(5, 9)
"""Types that likewise never has RocksDB write."""

MAYBE_A_BATCH = re.compile(rb"(?s)(?=[\x01\x02].{6}\0\0)")
"""The type of a record that a batch begins in, before a sequence number below 2^48."""


def check_logs(folder: Path) -> None:
    """Raises NotAStore if a log is damaged before its last commit. RocksDB finds damage within records itself."""
    for log in sorted(folder.glob("*.log")):
        if log.stat().st_size:
            with open(log, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                damage = damage_in(data)
            if damage is not None:
                raise NotAStore(f"{log} is damaged at byte {damage}. {BRING_BACK}")


def damage_in(log: mmap.mmap | bytes) -> int | None:
    """Where a log is unreadable although readable records follow; None if it is well, or only its tail is torn."""
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


def _batch_follows(log: mmap.mmap | bytes, at: int, sequence: int) -> bool:
    """Whether an intact record, with a batch later than `sequence`, begins somewhere behind `at`."""
    for found in MAYBE_A_BATCH.finditer(log, at + HEADER.size):
        start = found.start() - (HEADER.size - 1)
        room = BLOCK_BYTES - start % BLOCK_BYTES
        _, length, _ = HEADER.unpack_from(log, start)
        if BATCH.size <= length <= min(room, len(log) - start) - HEADER.size:
            found_sequence, entries = BATCH.unpack_from(log, start + HEADER.size)
            if found_sequence > sequence and entries and _intact(log, start):
                return True
    return False


def _intact(log: mmap.mmap | bytes, at: int) -> bool:
    checksum, length, _ = HEADER.unpack_from(log, at)
    crc = 0xFFFFFFFF
    for byte in log[at + HEADER.size - 1 : at + HEADER.size + length]:  # of the type and the content
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return checksum == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF  # "masked", as a log holds it


def _crc32c(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)
    return byte


CRC32C = [_crc32c(byte) for byte in range(256)]
