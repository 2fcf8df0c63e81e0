"""The vocabulary: likes, ops and what comes of them. Plain data, no behaviour beyond reading and writing itself.

Times are whole microseconds since the epoch, UTC (`times.py` turns them into text and `datetime`).
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from .errors import Fault, InvalidInput, Malformed
from .times import LATEST

ID_BYTES_MAX = 256
TYPE_BYTES_MAX = 64
PAGE_LIMIT_MAX = 100

T = TypeVar("T")


class Op(msgspec.Struct, frozen=True, gc=False):
    """A request to make a like true or false.

    `liked_at` is the client's own time of the like; it never orders ops. Without one, a like is dated when accepted.
    """

    user_id: str
    item_id: str
    liked: bool
    item_type: str | None = None
    liked_at: int | None = None


class Position(msgspec.Struct, frozen=True):
    """A place in the order, "everything up to and including this op": an offset per shard, in an epoch of the store.

    Callers treat its text as opaque. `offsets` is sorted by shard.
    """

    epoch: int
    offsets: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return f"{self.epoch}:" + ",".join([f"{shard}-{offset}" for shard, offset in self.offsets])

    def offset(self, shard: int) -> int:
        """The offset in one shard; 0 (before everything) where the position says nothing of it."""
        return dict(self.offsets).get(shard, 0)

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The inverse of `str`. Raises Malformed."""
        if not _POSITION.fullmatch(text):
            raise Malformed(Fault("position", "not a position; pass one that an answer gave you, unchanged"))
        epoch, _, offsets = text.partition(":")
        pairs = [pair.split("-") for pair in offsets.split(",")]
        return cls(int(epoch), tuple(sorted((int(shard), int(offset)) for shard, offset in pairs)))


_POSITION = re.compile(r"\d{1,18}:\d{1,9}-\d{1,18}(,\d{1,9}-\d{1,18})*", re.ASCII)


class Outcome(msgspec.Struct, gc=False):
    """What an op did.

    `changed` is None where it is not known yet. `liked_at` is the standing like's time, None if there is none.
    `count` is the item's count right after this op, and `version` that count's version. With `error` set the op was
    refused, alone, and the other fields say nothing.
    """

    liked: bool
    changed: bool | None = None
    liked_at: int | None = None
    count: int | None = None
    version: int = 0
    epoch: int = 0
    shard: int = 0
    offset: int | None = None
    error: str | None = None

    @property
    def position(self) -> Position | None:
        """Everything up to and including this op; None where it has no place in the order yet."""
        return None if self.offset is None else Position(self.epoch, ((self.shard, self.offset),))


class Like(msgspec.Struct, frozen=True):
    """The fact that a user likes an item since `liked_at`."""

    user_id: str
    item_id: str
    item_type: str | None
    liked_at: int


class Change(msgspec.Struct, frozen=True):
    """A committed transition. `position` is its id; `at` is when it was accepted, strictly increasing in a shard.

    `liked_at` is the like's time, which a client may have given; None for an unlike.
    """

    position: Position
    user_id: str
    item_id: str
    item_type: str | None
    liked: bool
    at: int
    liked_at: int | None


class Count(msgspec.Struct, frozen=True):
    """How many like an item. `version` grows with every change of it, and the same version means the same count.

    `exact` holds at `as_of`, microseconds since the epoch; None means the moment of the call. `liked` is whether the
    user asked about likes it, None if no user was.
    """

    item_id: str
    count: int
    version: int = 0
    exact: bool = True
    as_of: int | None = None
    liked: bool | None = None


class Summary(msgspec.Struct, frozen=True):
    """What stands under a post, "liked by A, B and 98 others", read at one moment.

    `shown` are likers, newest first; `liked` is whether the user asked about likes it, None if no user was.
    """

    item_id: str
    count: int
    liked: bool | None
    shown: list[Like]

    @property
    def others(self) -> int:
        """How many likers are not shown."""
        return self.count - len(self.shown)


class Keyset(msgspec.Struct, frozen=True):
    """The last row of a page: the next one begins right behind it. Lists are newest first, then by id, bytewise."""

    liked_at: int
    id: str

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.liked_at}.{self.id}".encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, cursor: str) -> "Keyset":
        """The inverse of `str`. Raises Malformed."""
        try:
            text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
            liked_at, dot, id_ = text.partition(".")
            keyset = cls(int(liked_at), id_)
        except ValueError:
            dot, keyset = "", cls(0, "")
        if not dot or str(keyset) != cursor or not 0 <= keyset.liked_at <= LATEST:
            raise Malformed(Fault("cursor", "not a cursor; pass a next_cursor that an answer gave you, unchanged"))
        return keyset


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a newest-first list, and the cursor of the next part (None at the end)."""

    items: list[T]
    next_cursor: str | None = None

    @property
    def has_more(self) -> bool:
        return self.next_cursor is not None


class Changes(msgspec.Struct, frozen=True):
    """Part of the change stream. Follow it from `position`, also when `items` is empty."""

    items: list[Change]
    position: Position
    has_more: bool


class Drift(msgspec.Struct, frozen=True):
    """A place where a derived view disagreed with the likes: which view, whose row, and how."""

    view: str
    id: str
    detail: str


class Report(msgspec.Struct, frozen=True):
    """What `verify` found. `drift` lists at most 100 places; `drifted` counts all of them."""

    likes: int
    items: int
    drifted: int
    drift: list[Drift]
    repaired: bool


class Stats(msgspec.Struct, frozen=True):
    """Figures of a store, cheap to ask for. `oldest_change` is the first change's offset still kept, if any."""

    likes: int
    position: Position
    oldest_change: int | None
    bytes_on_disk: int


_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


def problem_with_text(text: object, bytes_max: int = ID_BYTES_MAX) -> str | None:
    """What makes this text unfit to be an id, or None.

    Ids are opaque: 1 to 256 bytes of UTF-8 without control characters, compared by bytes, never folded or trimmed.
    U+FFFD is what a decoder puts in the place of bad bytes, so two different bad ids would meet in it: refused.
    """
    if not isinstance(text, str):
        return "must be a string"
    if not text:
        return "must not be empty"
    if text.isascii() and text.isprintable() and len(text) <= bytes_max:
        return None
    if found := _FORBIDDEN.search(text):
        return f"must be UTF-8 without control characters (found U+{ord(found.group()):04X})"
    if len(text) > bytes_max or len(text.encode()) > bytes_max:
        return f"must be at most {bytes_max} bytes of UTF-8"
    return None


def problem_with_time(liked_at: object) -> str | None:
    """What makes this unfit to be the time of a like, or None."""
    if type(liked_at) is not int or not 0 <= liked_at <= LATEST:
        return "must be microseconds since 1970-01-01 UTC, before the year 10000"
    return None


def faults_of(op: Op) -> list[Fault]:
    """Everything wrong with an op; empty for a good one."""
    checks = [("user_id", problem_with_text(op.user_id)), ("item_id", problem_with_text(op.item_id))]
    if op.item_type is not None:
        checks.append(("item_type", problem_with_text(op.item_type, TYPE_BYTES_MAX)))
    if op.liked_at is not None:
        checks.append(("liked_at", problem_with_time(op.liked_at)))
    if type(op.liked) is not bool:
        checks.append(("liked", "must be true or false"))
    return [Fault(field, problem) for field, problem in checks if problem]


def check_ids(pointer: str, ids: Sequence[str]) -> None:
    """Raises InvalidInput if any of these is not an id."""
    for id_ in ids:
        if problem := problem_with_text(id_):
            raise InvalidInput(Fault(pointer, problem))
