"""The shapes of what goes over the wire: queries, bodies and answers, as structs that validate and document them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ..likes import AMONG_MAX, CHANGES_MAX, COUNTS_MAX
from ..model import ID_BYTES_MAX, PAGE_LIMIT_MAX, TYPE_BYTES_MAX, Change, Count, Like, Outcome, Summary
from ..times import to_rfc3339
from ..trending import Hot

OPS_MAX = 10_000

BACKUP_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?!\n)$"
"""A name, never a path: letters, digits, `.`, `_` and `-`, and it begins with none of these three."""

Id = Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX, description="1 to 256 bytes of UTF-8")]
Type = Annotated[str, Meta(min_length=1, max_length=TYPE_BYTES_MAX, description="1 to 64 bytes of UTF-8")]
Time = Annotated[str, Meta(description="RFC 3339 in UTC, with microseconds", extra_json_schema={"format": "date-time"})]
PositionText = Annotated[str, Meta(description="an opaque token: everything up to and including an op")]
Limit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT_MAX)]
Cursor = Annotated[str, Meta(description="`next_cursor` of the page before, unchanged")]
Among = Annotated[list[Id], Meta(max_length=AMONG_MAX, description="only these users (friends)")]


class Input(msgspec.Struct, forbid_unknown_fields=True):
    """What callers send: unknown fields are refused."""


# Queries


class Nothing(Input):
    pass


class Read(Input, kw_only=True):
    at_least: PositionText | None = None
    """Answer with a state no older than this position."""


class LikeQuery(Input):
    item_type: Type | None = None
    user_id: Id | None = None
    strict: bool = False


class UnlikeQuery(Input):
    user_id: Id | None = None
    strict: bool = False


class StatusQuery(Read):
    user_id: Id | None = None


class CountQuery(Read):
    me: bool = False
    user_id: Id | None = None


class CountsQuery(Read, kw_only=True):
    item_id: Annotated[list[Id], Meta(min_length=1, max_length=COUNTS_MAX)]
    me: bool = False
    user_id: Id | None = None


class LikersQuery(Read):
    limit: Limit = 20
    cursor: Cursor | None = None
    among: Among | None = None


class SummaryQuery(Read):
    among: Among | None = None
    show: Annotated[int, Meta(ge=0, le=PAGE_LIMIT_MAX)] = 3
    me: bool = False
    user_id: Id | None = None


class LikesQuery(Read):
    limit: Limit = 20
    cursor: Cursor | None = None
    item_type: Type | None = None


class ChangesQuery(Input):
    after: PositionText | None = None
    limit: Annotated[int, Meta(ge=1, le=CHANGES_MAX)] = 100


class TrendingQuery(Read):
    limit: Limit = 20


# Bodies


class LikeBody(Input):
    item_type: Type | None = None
    user_id: Id | None = None


class CountsBody(Read, kw_only=True):
    item_ids: Annotated[list[Id], Meta(max_length=COUNTS_MAX)]
    with_liked: bool = False
    user_id: Id | None = None


class SummariesBody(Read, kw_only=True):
    item_ids: Annotated[list[Id], Meta(max_length=AMONG_MAX)]
    among: Among | None = None
    show: Annotated[int, Meta(ge=0, le=PAGE_LIMIT_MAX)] = 3
    with_liked: bool = False
    user_id: Id | None = None


class OpBody(Input):
    """An unfit value (an id too long) fails this op alone; a wrong type or an unknown field, the whole call."""

    user_id: str
    item_id: str
    liked: bool
    item_type: str | None = None
    liked_at: Time | None = None


class OpsBody(Input):
    ops: Annotated[list[OpBody], Meta(max_length=OPS_MAX)]


class BackupBody(Input):
    folder: Annotated[str, Meta(pattern=BACKUP_NAME, description="a name for the backup, which no other has")]


# Answers


class LikeAnswer(msgspec.Struct):
    item_id: str
    liked: bool
    changed: bool | None
    liked_at: Time | None
    count: int | None
    position: PositionText | None

    @classmethod
    def of(cls, item_id: str, outcome: Outcome) -> "LikeAnswer":
        at = outcome.liked_at
        return cls(
            item_id,
            outcome.liked,
            outcome.changed,
            None if at is None else to_rfc3339(at),
            outcome.count,
            None if outcome.offset is None else f"{outcome.epoch}:{outcome.shard}-{outcome.offset}",
        )


class StatusAnswer(msgspec.Struct):
    item_id: str
    liked: bool
    liked_at: Time | None


class CountAnswer(msgspec.Struct, omit_defaults=True):
    item_id: str
    count: int
    exact: bool
    as_of: Time
    liked: bool | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, count: Count, now: str) -> "CountAnswer":
        as_of = now if count.as_of is None else to_rfc3339(count.as_of)
        liked = msgspec.UNSET if count.liked is None else count.liked
        return cls(count.item_id, count.count, count.exact, as_of, liked)


class CountsAnswer(msgspec.Struct):
    items: list[CountAnswer]


class LikerAnswer(msgspec.Struct):
    user_id: str
    liked_at: Time

    @classmethod
    def of(cls, like: Like) -> "LikerAnswer":
        return cls(like.user_id, to_rfc3339(like.liked_at))


class LikersAnswer(msgspec.Struct):
    items: list[LikerAnswer]
    next_cursor: Cursor | None
    has_more: bool


class UserLikeAnswer(msgspec.Struct):
    item_id: str
    item_type: str | None
    liked_at: Time

    @classmethod
    def of(cls, like: Like) -> "UserLikeAnswer":
        return cls(like.item_id, like.item_type, to_rfc3339(like.liked_at))


class UserLikesAnswer(msgspec.Struct):
    items: list[UserLikeAnswer]
    next_cursor: Cursor | None
    has_more: bool


class SummaryAnswer(msgspec.Struct):
    item_id: str
    count: int
    exact: bool
    shown: list[LikerAnswer]
    others: int
    liked: bool | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, summary: Summary) -> "SummaryAnswer":
        return cls(
            summary.item_id,
            summary.count,
            True,
            [LikerAnswer.of(like) for like in summary.shown],
            summary.others,
            msgspec.UNSET if summary.liked is None else summary.liked,
        )


class SummariesAnswer(msgspec.Struct):
    items: list[SummaryAnswer]


class OutcomeAnswer(msgspec.Struct):
    changed: bool | None
    liked: bool
    error: str | msgspec.UnsetType = msgspec.UNSET


class OpsAnswer(msgspec.Struct):
    outcomes: list[OutcomeAnswer]
    position: PositionText | None


class ChangeAnswer(msgspec.Struct):
    id: PositionText
    user_id: str
    item_id: str
    item_type: str | None
    liked: bool
    at: Time
    liked_at: Time | None

    @classmethod
    def of(cls, change: Change) -> "ChangeAnswer":
        return cls(
            str(change.position),
            change.user_id,
            change.item_id,
            change.item_type,
            change.liked,
            to_rfc3339(change.at),
            None if change.liked_at is None else to_rfc3339(change.liked_at),
        )


class ChangesAnswer(msgspec.Struct):
    items: list[ChangeAnswer]
    position: PositionText
    has_more: bool


class HotAnswer(msgspec.Struct):
    item_id: str
    likes_per_minute: float
    count: int

    @classmethod
    def of(cls, hot: Hot, count: Count) -> "HotAnswer":
        return cls(hot.item_id, round(hot.likes_per_minute, 1), count.count)


class TrendingAnswer(msgspec.Struct):
    items: list[HotAnswer]


class ForgottenAnswer(msgspec.Struct):
    user_id: str
    likes_forgotten: int


class StatsAnswer(msgspec.Struct):
    """Of the whole service: `likes`, `position`, `bytes_on_disk`. The rest is of the worker that answers."""

    worker: int
    likes: int
    position: PositionText
    bytes_on_disk: int
    likes_since_start: int
    unlikes_since_start: int
    unchanged_since_start: int
    requests_since_start: int
    queue_depth: int
    commits: int
    commit_ops_mean: float
    commit_ms_p50: float
    commit_ms_p99: float
    request_ms_p50: float
    request_ms_p99: float
    counts_in_memory: int
    cache_hits: int
    cache_misses: int
    uptime_s: int


class HealthAnswer(msgspec.Struct):
    status: str
