"""The calls of Likewise v1: each takes a `Call`, asks `Likes`, and answers. Routing and validation come before."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import Closed, Fault, InvalidInput, LikewiseError
from ..likes import Likes
from ..model import Count, Op, Page, Position
from ..times import parse_time, to_rfc3339
from ..transfer.backups import back_up
from . import wire
from .identity import Caller, acting_user
from .messages import Headers, Reply, Request

if TYPE_CHECKING:
    from .app import App

JSON = ("content-type", "application/json")
PRIVATE: Headers = [JSON, ("cache-control", "private, no-store")]
PUBLIC: Headers = [JSON, ("cache-control", "public, max-age=1, s-maxage=2, stale-while-revalidate=2")]

LOOK_UP_S = 0.5
"""How often a long call looks whether the server is about to stop."""

encode = msgspec.json.Encoder().encode


class Call:
    """One request, found and decoded. `target` is the id in its path; `query` and `body` are `wire` structs."""

    __slots__ = ("_caller", "app", "body", "likes", "query", "request", "target")

    def __init__(self, app: "App", request: Request, target: str, query: Any) -> None:
        self.app = app
        self.likes: Likes = app.likes
        self.request = request
        self.target = target
        self.query = query
        self.body: Any = None
        self._caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who is calling; looked up only by calls that depend on it."""
        if self._caller is None:
            self._caller = self.app.identity(self.request)
        return self._caller

    @property
    def user(self) -> str:
        """On whose behalf the call acts. Raises Problem if that is nobody, or not the caller's to say."""
        return acting_user(self.caller, self.named)

    @property
    def named(self) -> str | None:
        """The user whom query or body name. Raises InvalidInput if they name two."""
        named = {user for part in (self.query, self.body) if (user := getattr(part, "user_id", None)) is not None}
        if len(named) > 1:
            raise InvalidInput(Fault("/user_id", "query and body disagree"))
        return named.pop() if named else None

    @property
    def owner(self) -> str:
        """The user whose path this is; `me` is the caller."""
        return acting_user(self.caller, None) if self.target == "me" else self.target


# Liking


async def like(call: Call) -> Reply:
    item_type = call.query.item_type
    if call.body is not None and call.body.item_type is not None:
        if item_type not in (None, call.body.item_type):
            raise InvalidInput(Fault("/item_type", "query and body disagree"))
        item_type = call.body.item_type
    outcome = await call.likes.like(call.user, call.target, item_type=item_type, strict=call.query.strict)
    return Reply(200, PRIVATE, encode(wire.LikeAnswer.of(call.target, outcome)))


async def unlike(call: Call) -> Reply:
    outcome = await call.likes.unlike(call.user, call.target, strict=call.query.strict)
    return Reply(200, PRIVATE, encode(wire.LikeAnswer.of(call.target, outcome)))


async def status(call: Call) -> Reply:
    liked_at = await call.likes.liked_at(call.user, call.target)
    answer = wire.StatusAnswer(call.target, liked_at is not None, None if liked_at is None else to_rfc3339(liked_at))
    return Reply(200, PRIVATE, encode(answer))


async def ops(call: Call) -> Reply:
    times = [_time_of(op) for op in call.body.ops]
    outcomes = await call.likes.apply(
        Op(op.user_id, op.item_id, op.liked, op.item_type, at) for op, at in zip(call.body.ops, times, strict=True)
    )
    answers = [
        wire.OutcomeAnswer(outcome.changed, outcome.liked, msgspec.UNSET if outcome.error is None else outcome.error)
        for outcome in outcomes
    ]
    position = next((outcome.position for outcome in reversed(outcomes) if outcome.position), None)
    return Reply(200, PRIVATE, encode(wire.OpsAnswer(answers, position and str(position))))


def _time_of(op: wire.OpBody) -> int | None:
    """An op's time in microseconds; one that cannot be read becomes one that fold refuses, so that it fails alone."""
    try:
        return None if op.liked_at is None else parse_time(op.liked_at)
    except ValueError:
        return -1


# Counting


def count(call: Call) -> Reply | Awaitable[Reply]:
    """Not a coroutine: the hottest call of all, answered at once when the count is in memory."""
    query = call.query
    if query.me:
        return _count_for(call)
    held = call.likes.cached_count(call.target)
    return _count_reply(call, held) if held else _count_read(call)


async def _count_read(call: Call) -> Reply:
    return _count_reply(call, await call.likes.count(call.target))


async def _count_for(call: Call) -> Reply:
    (count,) = await call.likes.counts([call.target], user=call.user)
    return Reply(200, PRIVATE, encode(wire.CountAnswer.of(count, to_rfc3339(call.likes.clock()))))


def _count_reply(call: Call, count: Count) -> Reply:
    answer = encode(wire.CountAnswer.of(count, to_rfc3339(call.likes.clock())))
    return _shared(call, f'W/"{count.version}-{count.count}"', answer)


def _shared(call: Call, etag: str, body: bytes) -> Reply:
    """The same for everybody, hence anyone may cache it; unless it was asked for at a position."""
    if call.query.at_least is not None:
        return Reply(200, PRIVATE, body)
    headers = [*PUBLIC, ("etag", etag)]
    known = call.request.header("if-none-match")
    if known is not None and (known == "*" or etag in [tag.strip() for tag in known.split(",")]):
        return Reply(304, headers[1:])
    return Reply(200, headers, body)


async def counts(call: Call) -> Reply:
    user = call.user if call.query.me else None
    found = await call.likes.counts(call.query.item_id, user=user)
    body = encode(_counts_answer(call, found))
    if user is not None:
        return Reply(200, PRIVATE, body)
    versions = ",".join(f"{count.version}-{count.count}" for count in found)
    return _shared(call, f'W/"{hashlib.blake2b(versions.encode(), digest_size=12).hexdigest()}"', body)


async def counts_in_bulk(call: Call) -> Reply:
    found = await call.likes.counts(call.body.item_ids, user=call.user if call.body.with_liked else None)
    return Reply(200, PRIVATE, encode(_counts_answer(call, found)))


def _counts_answer(call: Call, found: Sequence[Count]) -> wire.CountsAnswer:
    now = to_rfc3339(call.likes.clock())
    return wire.CountsAnswer([wire.CountAnswer.of(count, now) for count in found])


async def trending(call: Call) -> Reply:
    hot = call.likes.trending(call.query.limit)
    found = await call.likes.counts([item_id for item_id, _ in hot])
    answers = [wire.HotAnswer.of(hot, count) for hot, count in zip(hot, found, strict=True)]
    return Reply(200, PUBLIC, encode(wire.TrendingAnswer(answers)))


# Listing


async def likers(call: Call) -> Reply:
    query = call.query
    page = await call.likes.likers_page(call.target, limit=query.limit, cursor=query.cursor, among=query.among)
    answers = [wire.LikerAnswer.of(like) for like in page.items]
    return Reply(200, PRIVATE, encode(wire.LikersAnswer(answers, page.next_cursor, page.has_more)))


async def likes_of(call: Call) -> Reply:
    query = call.query
    page: Page[Any] = await call.likes.likes_page(
        call.owner, limit=query.limit, cursor=query.cursor, item_type=query.item_type
    )
    answers = [wire.UserLikeAnswer.of(like) for like in page.items]
    return Reply(200, PRIVATE, encode(wire.UserLikesAnswer(answers, page.next_cursor, page.has_more)))


async def summary(call: Call) -> Reply:
    query = call.query
    (found,) = await call.likes.summaries(
        [call.target], user=call.user if query.me else None, among=query.among, show=query.show
    )
    return Reply(200, PRIVATE, encode(wire.SummaryAnswer.of(found)))


async def summaries(call: Call) -> Reply:
    body = call.body
    found = await call.likes.summaries(
        body.item_ids, user=call.user if body.with_liked else None, among=body.among, show=body.show
    )
    return Reply(200, PRIVATE, encode(wire.SummariesAnswer([wire.SummaryAnswer.of(one) for one in found])))


async def changes(call: Call) -> Reply:
    after = call.query.after
    found = await call.likes.changes(None if after is None else Position.parse(after), call.query.limit)
    answers = [wire.ChangeAnswer.of(change) for change in found.items]
    return Reply(200, PRIVATE, encode(wire.ChangesAnswer(answers, str(found.position), found.has_more)))


# A user's own data


async def user_data(call: Call) -> Reply:
    headers = [("content-type", "application/x-ndjson"), PRIVATE[1]]
    lines = _lines(call.likes, call.owner)
    first = await anext(lines, b"")  # what is wrong from the start is a problem, not the end of a 200
    return Reply(200, headers, stream=_after(first, lines))


async def _lines(likes: Likes, user_id: str) -> AsyncIterator[bytes]:
    async for like in likes.likes_of(user_id):
        yield encode(wire.UserLikeAnswer.of(like)) + b"\n"


async def _after(first: bytes, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A stream that cannot go on says so in its last line: its status is long gone."""
    yield first
    try:
        async for line in lines:
            yield line
    except LikewiseError as error:
        yield encode({"error": f"incomplete: {error}"}) + b"\n"


async def forget_user(call: Call) -> Reply:
    owner = call.owner
    return Reply(200, PRIVATE, encode(wire.ForgottenAnswer(owner, await call.likes.forget_user(owner))))


# The service itself


async def backups(call: Call) -> Reply:
    place = call.app.settings.backups
    if place is None:
        detail = "this server has no place for backups: name a folder in its setting backups (--backups DIR)"
        raise InvalidInput(Fault("/folder", detail))
    folder = Path(place) / call.body.folder
    making = asyncio.ensure_future(back_up(call.likes.store, folder, clock=call.likes.clock))
    while not making.done() and not call.app.draining:
        await asyncio.wait((making,), timeout=LOOK_UP_S)
    if not making.done():  # a large copy would hold up the stop for minutes
        making.cancel()
        await asyncio.wait((making,))
    if making.cancelled():
        raise Closed("shutting down; the backup was not finished, and nothing is left of it", 2)
    return Reply(200, PRIVATE, encode(making.result()))


async def stats(call: Call) -> Reply:
    app, likes, measures = call.app, call.likes, call.likes.measures
    stored = await likes.stats()
    requests = app.measures.request_seconds
    commits = measures.commit_ops.total
    answer = wire.StatsAnswer(
        worker=app.worker,
        likes=stored.likes,
        position=str(stored.position),
        bytes_on_disk=stored.bytes_on_disk,
        likes_since_start=measures.likes,
        unlikes_since_start=measures.unlikes,
        unchanged_since_start=measures.unchanged,
        requests_since_start=requests.total,
        queue_depth=likes.writes.waiting,
        commits=commits,
        commit_ops_mean=round(measures.commit_ops.sum / commits, 1) if commits else 0.0,
        commit_ms_p50=measures.commit_seconds.quantile(0.5) * 1000,
        commit_ms_p99=measures.commit_seconds.quantile(0.99) * 1000,
        request_ms_p50=requests.quantile(0.5) * 1000,
        request_ms_p99=requests.quantile(0.99) * 1000,
        counts_in_memory=len(likes.cache),
        cache_hits=measures.cache_hits,
        cache_misses=measures.cache_misses,
        uptime_s=int(monotonic() - app.measures.began),
    )
    return Reply(200, PRIVATE, encode(answer))


def livez(call: Call) -> Reply:
    return Reply(200, PRIVATE, encode(wire.HealthAnswer("alive")))


async def readyz(call: Call) -> Reply:
    await call.likes.ready()
    return Reply(200, PRIVATE, encode(wire.HealthAnswer("ready")))


def metrics(call: Call) -> Reply:
    from .metrics import CONTENT_TYPE, render

    return Reply(200, [("content-type", CONTENT_TYPE), PRIVATE[1]], render(call.app))


def openapi(call: Call) -> Reply:
    return Reply(200, [JSON, ("cache-control", "public, max-age=300")], call.app.openapi_json)


def docs(call: Call) -> Reply:
    headers = [("content-type", "text/html; charset=utf-8"), ("cache-control", "public, max-age=300")]
    return Reply(200, headers, call.app.docs_html)
