"""Reading a request's query and body into the structs of `wire.py`."""

from functools import cache
from typing import Any, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec

from ..errors import Fault, InvalidInput, Malformed
from ..settings import Settings
from .messages import Request
from .problems import Problem, fault_of
from .routes import Route

COMMA_LISTS = frozenset({"among"})
"""Parameters that take `a,b`. Commas are cut before decoding, so an id may contain one, as `%2C`."""


def read_query(kind: type[msgspec.Struct], query: str) -> msgspec.Struct:
    """Raises InvalidInput, or Malformed for bytes that are not UTF-8."""
    if not query:
        return _empty(kind)
    return _convert(kind, _parse(kind, query))


async def read_body(route: Route, request: Request, settings: Settings) -> Any:
    """The decoded body of a route that takes one; None if it may be left out and was. Raises Problem and msgspec's
    errors."""
    assert route.body is not None
    body = await request.body(settings.body_bytes_max)
    if body is None:
        limit = f"{settings.body_bytes_max:,} bytes"
        raise Problem(413, "body-too-large", "Body too large", f"a body may have at most {limit}")
    if not body and not route.body_required:
        return None
    if not is_json(request.header("content-type")):
        raise Problem(415, "not-json", "Not JSON", "send the body as JSON, with Content-Type: application/json")
    return _decoder(route.body).decode(body)


def is_json(content_type: str | None) -> bool:
    """Whether a Content-Type is JSON. Insisting on it also keeps other origins' forms out: theirs cannot say it."""
    essence = (content_type or "").partition(";")[0].strip().lower()
    return essence == "application/json" or (essence.startswith("application/") and essence.endswith("+json"))


@cache
def _decoder(kind: type[msgspec.Struct]) -> "msgspec.json.Decoder[msgspec.Struct]":
    return msgspec.json.Decoder(kind)


@cache
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(name for name, hint in get_type_hints(kind).items() if "list[" in str(hint))


_EMPTY: dict[type[msgspec.Struct], msgspec.Struct] = {}


def _empty(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """The query that says nothing: always the same object, so that the hot path makes none."""
    found = _EMPTY.get(kind)
    if found is None:
        found = _EMPTY[kind] = _convert(kind, {})
    return found


def _convert(kind: type[msgspec.Struct], values: dict[str, Any]) -> msgspec.Struct:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        pointer, detail = fault_of(error)
        raise InvalidInput(Fault(pointer.lstrip("/") or "query", detail)) from error


def _parse(kind: type[msgspec.Struct], query: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    lists = _lists(kind)
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = _decoded(name)
        if name in lists:
            pieces = value.split(",") if name in COMMA_LISTS else [value]
            values.setdefault(name, []).extend([_decoded(piece) for piece in pieces])
        elif name in values:
            raise InvalidInput(Fault(name, "was given twice"))
        elif name or value:
            values[name] = _decoded(value)
    return values


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ").encode(errors="surrogateescape")).decode()
    except UnicodeDecodeError:
        raise Malformed(Fault("query", "is not percent-encoded UTF-8")) from None
