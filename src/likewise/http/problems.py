"""RFC 9457: every error as `application/problem+json` with a stable type."""

from collections.abc import Sequence

import msgspec

from ..errors import (
    Closed,
    Fault,
    InvalidInput,
    LikewiseError,
    Malformed,
    PositionExpired,
    StrictConflict,
    Unavailable,
)
from .messages import Headers, Reply


class Location(msgspec.Struct):
    """Where in the input something is wrong (a JSON pointer, or a parameter's name), and what to do about it."""

    pointer: str
    detail: str


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """The body of every error. `liked` and `count` come with the conflicts of strict calls."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Location] = []
    liked: bool | None = None
    count: int | None = None


class Problem(Exception):
    """An error that exists only in HTTP: raised by the app and its calls, answered as it is."""

    def __init__(self, status: int, slug: str, title: str, detail: str, headers: Headers | None = None) -> None:
        super().__init__(detail)
        self.status, self.slug, self.title, self.detail = status, slug, title, detail
        self.headers = headers or []


def unauthorized(detail: str) -> Problem:
    return Problem(401, "unauthorized", "Say who is calling", detail, [("www-authenticate", "Bearer")])


def forbidden(detail: str) -> Problem:
    return Problem(403, "forbidden", "Not allowed", detail)


def not_found(path: str) -> Problem:
    return Problem(404, "no-such-path", "No such path", f"{path[:200]} is nothing here; GET /docs lists every call")


def method_not_allowed(method: str, allowed: Sequence[str]) -> Problem:
    allow = ", ".join(sorted(allowed))
    return Problem(405, "method-not-allowed", "Wrong method", f"{method[:20]} is not among {allow}", [("allow", allow)])


_STATUS: dict[type[LikewiseError], tuple[int, str, str]] = {
    Malformed: (400, "malformed", "The input cannot be read"),
    InvalidInput: (422, "invalid-input", "The input is not valid"),
    PositionExpired: (410, "position-expired", "That position is no longer kept"),
    Closed: (503, "shutting-down", "Shutting down"),
    Unavailable: (503, "unavailable", "Not now"),
}


def reply_to(error: Exception) -> Reply:
    """The reply to an error. What is not one of ours is a 500 that says nothing of the inside."""
    match error:
        case Problem():
            return _reply(error.status, error.slug, error.title, error.detail, headers=error.headers)
        case StrictConflict():
            status, title = (409, "Already liked") if error.liked else (404, "Not liked")
            slug = title.lower().replace(" ", "-")
            return _reply(status, slug, title, str(error), liked=error.liked, count=error.count)
        case msgspec.ValidationError():
            return reply_to(InvalidInput(fault_of(error)))
        case msgspec.DecodeError() | UnicodeDecodeError():
            return reply_to(Malformed(Fault("", f"the body is not JSON in UTF-8: {error}")))
        case LikewiseError():
            kind = next(kind for kind in type(error).__mro__ if kind in _STATUS or kind is LikewiseError)
            status, slug, title = _STATUS.get(kind, (500, "internal", "Internal error"))
            faults = error.errors if isinstance(error, InvalidInput) else ()
            retry = [("retry-after", str(error.retry_after_s))] if isinstance(error, Unavailable) else []
            return _reply(status, slug, title, str(error), faults=faults, headers=retry)
        case _:
            detail = "This is a bug or a broken set-up; the log has the details under the X-Request-Id of this answer."
            return _reply(500, "internal", "Internal error", detail)


def fault_of(error: msgspec.ValidationError) -> Fault:
    """msgspec says `… - at `$.ops[0].user_id``; a JSON pointer says `/ops/0/user_id`."""
    detail, _, path = str(error).partition(" - at `$")
    pointer = path.rstrip("`").replace("[...]", "").replace("[", "/").replace("]", "").replace(".", "/")
    return Fault(pointer, detail)


def _reply(
    status: int,
    slug: str,
    title: str,
    detail: str,
    *,
    faults: Sequence[Fault] = (),
    headers: Headers | None = None,
    liked: bool | None = None,
    count: int | None = None,
) -> Reply:
    errors = [Location(pointer, detail) for pointer, detail in faults]
    details = ProblemDetails(f"urn:likewise:problem:{slug}", title, status, detail, errors, liked, count)
    base = [("content-type", "application/problem+json"), ("cache-control", "no-store")]
    return Reply(status, base + (headers or []), msgspec.json.encode(details))
