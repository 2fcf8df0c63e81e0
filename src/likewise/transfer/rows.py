"""One row to one op: a line of CSV below its header, a line of NDJSON, and the values that Parquet shares with them."""

import csv
from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import Fault, InvalidInput
from ..model import Op
from ..times import SECOND, parse_time
from .formats import COLUMNS, REQUIRED

Parse = Callable[[str], Op]
"""Turns a line into an op; raises ValueError with what is wrong with it."""

_LIKED = {"": True, "true": True, "false": False, "1": True, "0": False}


def csv_parser(header: str) -> Parse:
    """What turns the lines below this header into ops. Raises InvalidInput for a header that is not ours."""
    try:
        columns = [name.strip() for name in _split(header)]
    except ValueError as error:
        raise InvalidInput(Fault("line 1", str(error))) from None
    if problem := _problem_with(columns, header):
        raise InvalidInput(Fault("line 1", problem))
    width = len(columns)
    user, item = (columns.index(name) for name in REQUIRED)
    type_, time, liked = (columns.index(name) if name in columns else None for name in COLUMNS[2:])

    def parse(line: str) -> Op:
        fields = _split(line) if '"' in line else line.split(",")
        if len(fields) != width:
            raise ValueError(f"has {len(fields)} fields, and the header names {width}")
        return Op(
            fields[user],
            fields[item],
            True if liked is None else _liked(fields[liked]),
            None if type_ is None else fields[type_] or None,
            parse_time(text) if time is not None and (text := fields[time]) else None,
        )

    return parse


def _problem_with(columns: list[str], header: str) -> str | None:
    expected = "user_id,item_id and, if you have them, item_type, liked_at, liked; in any order, separated by commas"
    if not header:
        return f"the file has no header; its first line must name the columns: {expected}"
    for name in REQUIRED:
        if name not in columns:
            return f"the header does not name {name}; it must name the columns: {expected}"
    for name in columns:
        if name not in COLUMNS:
            return f"the header names {name!r}, which is none of ours: {expected}"
        if columns.count(name) > 1:
            return f"the header names {name} twice"
    return None


def _split(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [""])
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from None


def _liked(text: str) -> bool:
    liked = _LIKED.get(text)
    if liked is None and (liked := _LIKED.get(text.lower())) is None:
        raise ValueError(f"liked: {text!r} is not true or false")
    return liked


# NDJSON


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    user_id: str
    item_id: str
    item_type: str | None = None
    liked_at: str | int | float | None = None
    liked: bool | int | None = None


_decode_row = msgspec.json.Decoder(_Row).decode


def parse_json(line: str) -> Op:
    """A line of NDJSON as an op. Raises ValueError."""
    try:
        row = _decode_row(line)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    return Op(row.user_id, row.item_id, liked_of(row.liked), row.item_type or None, time_of(row.liked_at))


def liked_of(value: Any) -> bool:
    """true, false, 1, 0, and nothing for true."""
    if value is None or value is True or value == 1:
        return True
    if value is False or value == 0:
        return False
    raise ValueError(f"liked: {value!r} is not true or false")


def time_of(value: Any) -> int | None:
    """RFC 3339 or epoch seconds as microseconds since the epoch."""
    match value:
        case None | "":
            return None
        case str():
            return parse_time(value)
        case int():
            return value * SECOND
        case float() if abs(value) < 1e15:
            return round(value * SECOND)
        case _:
            raise ValueError(f"liked_at: {value!r} is not a time")
