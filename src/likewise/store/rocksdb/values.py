"""The values of the RocksDB tier: what stands under the keys of `keys.py`."""

from struct import Struct
from typing import NamedTuple

import msgspec

from ...fold import Folded, Row, Tally, Transition

_LIKED_AT = Struct(">Q")
_TALLY = Struct(">qQ")  # a count that drifted may fall below 0 before it is mended
_TIP = Struct(">QQQq")

changes_to_bytes = msgspec.msgpack.Encoder().encode
changes_of = msgspec.msgpack.Decoder(list[Transition]).decode


class Tip(NamedTuple):
    """Where the store stands: the last change's offset and time, the first change still kept (0: none), all likes."""

    offset: int = 0
    last_at: int = 0
    first: int = 0
    likes: int = 0

    def after(self, folded: Folded) -> "Tip":
        """Where the store stands once these changes are in it; there is at least one."""
        come = sum((after is not None) - (before is not None) for before, after in folded.rows.values())
        changes = folded.changes
        return Tip(folded.offset, changes[-1].at, self.first or changes[0].offset, self.likes + come)

    def to_bytes(self) -> bytes:
        return _TIP.pack(*self)

    @classmethod
    def of(cls, value: bytes) -> "Tip":
        return cls(*_TIP.unpack(value))


def row_to_bytes(row: Row) -> bytes:
    return _LIKED_AT.pack(row[0]) + type_to_bytes(row[1])


def row_of(value: bytes) -> Row:
    return _LIKED_AT.unpack_from(value)[0], type_of(value[_LIKED_AT.size :])


def type_to_bytes(item_type: str | None) -> bytes:
    return b"" if item_type is None else item_type.encode()


def type_of(value: bytes) -> str | None:
    """The inverse of `type_to_bytes`; no item_type is empty."""
    return value.decode() or None


def tally_to_bytes(tally: Tally) -> bytes:
    return _TALLY.pack(*tally)


def tally_of(value: bytes) -> Tally:
    return _TALLY.unpack(value)


def epoch_to_bytes(epoch: int) -> bytes:
    return epoch.to_bytes(8, "big")


def epoch_of(value: bytes) -> int:
    return int.from_bytes(value, "big")
