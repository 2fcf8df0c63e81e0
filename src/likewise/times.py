"""Time: whole microseconds since 1970-01-01 UTC inside, RFC 3339 outside. Clocks are injected, never reached for."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Gives the present in microseconds since the epoch. It may step backwards; `Ticker` sees to the order."""

SECOND = 1_000_000
DAY = 86_400 * SECOND
LATEST = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the last moment RFC 3339 can write."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wall_clock() -> int:
    """The machine's clock, in microseconds since the epoch."""
    return time.time_ns() // 1000


class Ticker:
    """Hands out strictly increasing times from a clock that may stand still or step back.

    Newest-first lists are then in the order of acceptance, whatever the machine's clock does.
    """

    def __init__(self, clock: Clock, last: int = 0) -> None:
        self._clock = clock
        self._last = last

    def take(self, n: int) -> int:
        """Reserve `n` consecutive microseconds; returns the first."""
        first = max(self._clock(), self._last + 1)
        self._last = first + n - 1
        return first


class _LastSecond:
    """How the last second was written: most answers of a busy service fall into the same one.

    One attribute, so that threads cannot see half of a change.
    """

    written: tuple[int, str] = (-1, "")


def to_rfc3339(time_us: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, always with six decimals, so that texts sort like times."""
    second, micros = divmod(time_us, SECOND)
    last, text = _LastSecond.written
    if second != last:
        text = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
        _LastSecond.written = (second, text)
    return f"{text}.{micros:06d}Z"


def to_datetime(time_us: int) -> datetime:
    """Microseconds since the epoch as an aware `datetime` in UTC."""
    return _EPOCH + timedelta(microseconds=time_us)


def parse_time(text: str) -> int:
    """RFC 3339 (with an offset or `Z`) or epoch seconds (with decimals, if any) as microseconds since the epoch.

    Raises ValueError with a message that says what is accepted.
    """
    text = text.strip()
    whole, dot, decimals = text.partition(".")
    if whole.isascii() and whole.isdigit() and (not dot or (decimals.isascii() and decimals.isdigit())):
        return int(whole) * SECOND + int(decimals[:6].ljust(6, "0") or 0)
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is not a time: write RFC 3339 (2026-01-31T12:00:00Z) or epoch seconds")
    return (moment - _EPOCH) // timedelta(microseconds=1)
