"""The keys of the RocksDB tier. RocksDB sorts keys by their bytes, so their layout is the order of every list.

Two column families. `points` is asked about single keys, and has bloom filters for those that are not there:

    r user 00 item            the register: does this like stand?    liked_at, item_type
    c item                    the item's count                       likes, version
    n key                     notes                                  any bytes

`lists` is only ever walked along, from a key on:

    t user 00 rank item       the user's timeline                    item_type
    l item 00 rank user       the item's likers                      (nothing)
    x offset                  the changes of one commit, under the offset of the last of them

Ids stand in keys as their UTF-8 bytes. An id has no control characters, so the byte 00 behind one ends it, and sorts
before every byte that a longer id could have there: keys of different ids differ, no id's keys lie among another's, and
the keys are in the order of (first id, rank, second id), ids compared by bytes. A rank is 8 bytes that fall as
`liked_at` grows, so ascending keys are newest first.
"""

from struct import Struct

END = b"\x00"
"""Ends an id."""

TOP = 2**64 - 1

REGISTER, COUNT, TIMELINE, LIKERS, CHANGES = b"r", b"c", b"t", b"l", b"x"
"""What all keys of each kind begin with."""

_U64 = Struct(">Q")
_pack = _U64.pack
_unpack_from = _U64.unpack_from
RANK_BYTES = _U64.size


def register(user_id: str, item_id: str) -> bytes:
    return f"r{user_id}\0{item_id}".encode()


def register_pair(key: bytes) -> tuple[str, str]:
    """The inverse of `register`: (user_id, item_id)."""
    user_id, _, item_id = key[1:].decode().partition("\0")
    return user_id, item_id


def count(item_id: str) -> bytes:
    return f"c{item_id}".encode()


def note(key: str) -> bytes:
    return f"n{key}".encode()


def kept(key: str) -> bytes:
    """A note of `Store.remember`."""
    return note("kept:" + key)


def timeline_of(user_id: str) -> bytes:
    """What all keys of a user's timeline begin with."""
    return f"t{user_id}\0".encode()


def likers_of(item_id: str) -> bytes:
    """What all keys of an item's likers begin with."""
    return f"l{item_id}\0".encode()


def ranked(of: bytes, liked_at: int, id_: str) -> bytes:
    """A key of the list `of` (see `timeline_of`, `likers_of`)."""
    return of + _pack(TOP - liked_at) + id_.encode()


def ranked_parts(key: bytes, start: int) -> tuple[int, str]:
    """(liked_at, id) of a list's key; `start` is the length of what the list's keys begin with."""
    return TOP - _unpack_from(key, start)[0], key[start + RANK_BYTES :].decode()


def entry_parts(key: bytes) -> tuple[str, int, str]:
    """(whose list, liked_at, id) of a list's key."""
    end = key.index(END)
    return key[1:end].decode(), *ranked_parts(key, end + 1)


def list_owner(key: bytes) -> bytes:
    """Whose list a `ranked` key belongs to, as bytes."""
    return key[1 : key.index(END)]


def changes(offset: int) -> bytes:
    return CHANGES + _pack(offset)


def changes_offset(key: bytes) -> int:
    """The inverse of `changes`."""
    return _unpack_from(key, 1)[0]


def behind(key: bytes) -> bytes:
    """The first key that sorts after `key`."""
    return key + b"\x00"
