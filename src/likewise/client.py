"""`RemoteLikes`: what the command line does with a store, done by a running server instead (`--url`).

It speaks the HTTP API over the standard library and turns every problem back into the error that the server raised.
It is not a general client: only the calls that the command line makes are here.
"""

import asyncio
import http.client
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from .errors import (
    AlreadyLiked,
    Fault,
    InvalidInput,
    LikewiseError,
    NotLiked,
    Overloaded,
    PositionExpired,
    SetupError,
    Unavailable,
)
from .model import PAGE_LIMIT_MAX, Count, Like, Op, Outcome, Page, Position, check_ids, faults_of
from .times import parse_time, to_rfc3339
from .transfer.backups import Backup

T = TypeVar("T")

TIMEOUT_S = 60
BACKUP_TIMEOUT_S = 6 * 3_600
TRIES_MAX = 8
WAIT_S_MAX = 10


class _LikeAnswer(msgspec.Struct):
    liked: bool
    changed: bool | None
    liked_at: str | None
    count: int | None
    position: str | None


class _StatusAnswer(msgspec.Struct):
    liked_at: str | None


class _CountAnswer(msgspec.Struct):
    item_id: str
    count: int
    exact: bool
    liked: bool | None = None


class _CountsAnswer(msgspec.Struct):
    items: list[_CountAnswer]


class _Entry(msgspec.Struct):
    liked_at: str
    user_id: str = ""
    item_id: str = ""
    item_type: str | None = None


class _PageAnswer(msgspec.Struct):
    items: list[_Entry]
    next_cursor: str | None


class _OutcomeAnswer(msgspec.Struct):
    changed: bool | None
    liked: bool
    error: str | None = None


class _OpsAnswer(msgspec.Struct):
    outcomes: list[_OutcomeAnswer]


class _ForgottenAnswer(msgspec.Struct):
    likes_forgotten: int


class _Location(msgspec.Struct):
    pointer: str
    detail: str


class _Problem(msgspec.Struct):
    type: str = ""
    title: str = ""
    detail: str = ""
    errors: list[_Location] = []
    liked: bool | None = None
    count: int | None = None


class RemoteLikes:
    """The likes that a server at `url` keeps. The caller needs the service scope there: on an unconfigured loopback
    server it has it, elsewhere a gateway may give it to `token`.

    One connection and one thread, so calls begin in the order in which they were made. Raises what `Likes` raises,
    Unavailable where nobody answers, and SetupError for a URL that is none.
    """

    def __init__(self, url: str, token: str | None = None, *, sleep: Callable[[float], object] = time.sleep) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise SetupError(f"{url!r} is not a server's address; write it like http://127.0.0.1:8080")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        try:
            self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
        except ValueError as error:
            raise SetupError(f"{url!r}: {error}") from error
        self._url = url.rstrip("/")
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._sleep = sleep
        self._answered = False
        self._thread = ThreadPoolExecutor(1, "likewise-client")

    async def close(self) -> None:
        """Let go of the connection."""
        self._thread.shutdown(cancel_futures=True)
        self._connection.close()

    # Writing

    async def like(self, user_id: str, item_id: str, *, item_type: str | None = None, strict: bool = False) -> Outcome:
        """See `Likes.like`."""
        return await self._set("PUT", Op(user_id, item_id, True, item_type), strict)

    async def unlike(self, user_id: str, item_id: str, *, strict: bool = False) -> Outcome:
        """See `Likes.unlike`."""
        return await self._set("DELETE", Op(user_id, item_id, False), strict)

    async def apply(self, ops: Iterable[Op]) -> list[Outcome]:
        """See `Likes.apply`; at most 10,000 ops. A server that is busy or restarts is asked again for a while, which
        is safe: ops that were applied already change nothing."""
        ops = list(ops)
        faults = [faults_of(op) for op in ops]  # refused here alike, whether or not JSON could carry them
        good = [_op_body(op) for op, wrong in zip(ops, faults, strict=True) if not wrong]
        answer = await self._call("POST", "/v1/ops", _OpsAnswer, body={"ops": good}, tries=TRIES_MAX)
        outcomes = iter(answer.outcomes)
        return [
            Outcome(op.liked, error=str(InvalidInput(*wrong))) if wrong else _outcome(next(outcomes))
            for op, wrong in zip(ops, faults, strict=True)
        ]

    async def forget_user(self, user_id: str) -> int:
        """See `Likes.forget_user`."""
        check_ids("user_id", [user_id])
        return (await self._call("DELETE", f"/v1/users/{_escape(user_id)}/data", _ForgottenAnswer)).likes_forgotten

    async def forget_item(self, item_id: str) -> int:
        """See `Likes.forget_item`."""
        forgotten = 0
        while likers := (await self.likers_page(item_id, limit=PAGE_LIMIT_MAX)).items:
            outcomes = await self.apply([Op(like.user_id, item_id, False) for like in likers])
            forgotten += sum(bool(outcome.changed) for outcome in outcomes)
        return forgotten

    # Reading

    async def liked_at(self, user_id: str, item_id: str) -> int | None:
        """See `Likes.liked_at`."""
        check_ids("user_id", [user_id])
        check_ids("item_id", [item_id])
        answer = await self._call("GET", f"/v1/items/{_escape(item_id)}/like", _StatusAnswer, {"user_id": user_id})
        return _time(answer.liked_at)

    async def counts(self, item_ids: Sequence[str], user: str | None = None) -> list[Count]:
        """See `Likes.counts`."""
        check_ids("item_id", item_ids)
        body: dict[str, Any] = {"item_ids": item_ids}
        if user is not None:
            check_ids("user", [user])
            body |= {"with_liked": True, "user_id": user}
        answer = await self._call("POST", "/v1/counts", _CountsAnswer, body=body)
        return [Count(count.item_id, count.count, exact=count.exact, liked=count.liked) for count in answer.items]

    async def likes_page(
        self, user_id: str, *, limit: int = 20, cursor: str | None = None, item_type: str | None = None
    ) -> Page[Like]:
        """See `Likes.likes_page`."""
        check_ids("user_id", [user_id])
        query = {"limit": limit, "cursor": cursor, "item_type": item_type}
        page = await self._call("GET", f"/v1/users/{_escape(user_id)}/likes", _PageAnswer, query)
        likes = [Like(user_id, entry.item_id, entry.item_type, parse_time(entry.liked_at)) for entry in page.items]
        return Page(likes, page.next_cursor)

    async def likers_page(self, item_id: str, *, limit: int = 20, cursor: str | None = None) -> Page[Like]:
        """See `Likes.likers_page`."""
        check_ids("item_id", [item_id])
        query = {"limit": limit, "cursor": cursor}
        page = await self._call("GET", f"/v1/items/{_escape(item_id)}/likers", _PageAnswer, query)
        likes = [Like(entry.user_id, item_id, None, parse_time(entry.liked_at)) for entry in page.items]
        return Page(likes, page.next_cursor)

    async def backup(self, folder: str) -> Backup:
        """Have the server back up its store into a new folder of this name; returns when that is done."""
        return await self._call("POST", "/v1/backups", Backup, body={"folder": folder}, timeout_s=BACKUP_TIMEOUT_S)

    async def _set(self, method: str, op: Op, strict: bool) -> Outcome:
        if wrong := faults_of(op):
            raise InvalidInput(*wrong)
        query = {"user_id": op.user_id, "item_type": op.item_type, "strict": "true" if strict else None}
        answer = await self._call(method, f"/v1/items/{_escape(op.item_id)}/like", _LikeAnswer, query)
        outcome = Outcome(answer.liked, answer.changed, _time(answer.liked_at), answer.count)
        if answer.position:
            position = Position.parse(answer.position)
            outcome.epoch, (outcome.shard, outcome.offset) = position.epoch, position.offsets[0]
        return outcome

    async def _call(
        self,
        method: str,
        path: str,
        kind: type[T],
        query: dict[str, Any] | None = None,
        *,
        body: Any = None,
        tries: int = 1,
        timeout_s: float = TIMEOUT_S,
    ) -> T:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._base + path + ("?" + urlencode(given) if given else "")
        encoded = None if body is None else msgspec.json.encode(body)
        # All tries within one run on the one thread: what was asked later cannot overtake.
        work = self._thread.submit(self._ask, method, target, encoded, tries, timeout_s)
        answer = await asyncio.wrap_future(work)
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise SetupError(f"what answers at {self._url} is not likewise, or another version of it") from error

    def _ask(self, method: str, target: str, body: bytes | None, tries: int, timeout_s: float) -> bytes:
        self._connection.timeout = timeout_s
        if self._connection.sock:
            self._connection.sock.settimeout(timeout_s)
        while True:
            tries -= 1
            try:
                return self._ask_once(method, target, body)
            except Unavailable as error:
                if tries <= 0 or not self._answered:  # a wrong address is said at once
                    raise
                self._sleep(min(error.retry_after_s, WAIT_S_MAX))

    def _ask_once(self, method: str, target: str, body: bytes | None) -> bytes:
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            self._connection.request(method, target, body, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens a new one
            raise Unavailable(
                f"no answer from {self._url} ({_reason(error)}). Is it running? `likewise serve` starts a server; "
                "without --url the command works on the file itself."
            ) from error
        self._answered = True
        if response.status >= 300:
            raise self._error(response, answer)
        return answer

    def _error(self, response: http.client.HTTPResponse, answer: bytes) -> LikewiseError:
        try:
            problem = msgspec.json.decode(answer, type=_Problem)
        except msgspec.DecodeError:
            problem = _Problem()
        if not problem.type.startswith("urn:likewise:"):
            return SetupError(f"{self._url} answered {response.status} {response.reason}: is that a likewise server?")
        retry_after = response.headers.get("Retry-After", "")
        return _error_of(problem, response.status, int(retry_after) if retry_after.isdigit() else 1)


def _error_of(problem: _Problem, status: int, retry_after_s: int) -> LikewiseError:
    """The error that a problem was made of."""
    detail = problem.detail or problem.title
    match problem.type.rpartition(":")[2], status:
        case "already-liked", _:
            return AlreadyLiked(problem.count)
        case "not-liked", _:
            return NotLiked(problem.count)
        case _, 400 | 422:
            faults = [Fault(location.pointer, location.detail) for location in problem.errors]
            return InvalidInput(*faults or [Fault("", detail)])
        case _, 401 | 403:
            return SetupError(
                f"the server refuses: {detail}. An unconfigured server on loopback gives commands the service scope; "
                "elsewhere a gateway has to, to the key that is its --token."
            )
        case _, 410:
            return PositionExpired(detail)
        case _, 429:
            return Overloaded(detail, retry_after_s)
        case _, 503:
            return Unavailable(detail, retry_after_s)
        case _:
            return LikewiseError(f"the server answered {status}: {detail}")


def _op_body(op: Op) -> dict[str, Any]:
    body: dict[str, Any] = {"user_id": op.user_id, "item_id": op.item_id, "liked": op.liked}
    if op.item_type is not None:
        body["item_type"] = op.item_type
    if op.liked_at is not None:
        body["liked_at"] = to_rfc3339(op.liked_at)
    return body


def _outcome(answer: _OutcomeAnswer) -> Outcome:
    return Outcome(answer.liked, answer.changed, error=answer.error)


def _time(text: str | None) -> int | None:
    return None if text is None else parse_time(text)


def _escape(id_: str) -> str:
    return quote(id_, safe="")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
