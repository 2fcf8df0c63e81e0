"""Times: microseconds inside, RFC 3339 outside, and a ticker that never goes back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.times import LATEST, SECOND, Ticker, parse_time, to_datetime, to_rfc3339
from tests.clocks import DAY, NEW_YEAR, SetClock

times = st.integers(0, LATEST)


@given(times)
def test_a_time_written_is_read_back_to_the_microsecond(time: int) -> None:
    assert parse_time(to_rfc3339(time)) == time


@given(times, times)
def test_texts_sort_like_times(a: int, b: int) -> None:
    assert (to_rfc3339(a) < to_rfc3339(b)) is (a < b)


@given(times)
def test_a_datetime_is_the_same_moment_in_utc(time: int) -> None:
    moment = to_datetime(time)
    assert moment.utcoffset() == timedelta(0)
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == time


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (NEW_YEAR, "2026-01-01T00:00:00.000000Z"),
        (NEW_YEAR - 1, "2025-12-31T23:59:59.999999Z"),
        (LATEST, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_written_with_six_decimals(time: int, text: str) -> None:
    for _ in range(2):  # the second time from what it remembers of that second
        assert to_rfc3339(time) == text


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T02:30:00+02:30", NEW_YEAR),
        ("2025-12-31T16:00:00-08:00", NEW_YEAR),
        ("2026-01-01T00:00:00.5Z", NEW_YEAR + 500_000),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR + 123_456),
        ("2026-01-01 00:00:00+00:00", NEW_YEAR),
        ("1767225600", NEW_YEAR),
        ("1767225600.25", NEW_YEAR + 250_000),
        ("1767225600.1234567", NEW_YEAR + 123_456),
        (" 1767225600\n", NEW_YEAR),
        ("0", 0),
    ],
)
def test_what_is_accepted_as_a_time(text: str, time: int) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    ["", " ", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "1.",
     ".5",     "1.5.5", "-1", "1e9", "٣", "²", "0x10", "1_000", "nan", "2026-01-01T00:00:00Zjunk", "9" * 5_000],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


def test_an_offset_is_taken_into_account_near_the_ends_of_time() -> None:
    assert parse_time("1970-01-01T00:00:00+01:00") == -3_600 * SECOND  # `problem_with_time` refuses it
    late = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12)))
    assert parse_time(late.isoformat()) > LATEST


@given(st.lists(st.tuples(st.integers(-2 * DAY, 2 * DAY), st.integers(1, 50)), max_size=30))
def test_a_ticker_never_gives_a_time_twice_whatever_its_clock_does(steps: list[tuple[int, int]]) -> None:
    clock = SetClock()
    ticker = Ticker(clock)
    last = -1
    for step, n in steps:
        clock.step(step)
        first = ticker.take(n)
        assert first > last
        assert first >= clock.now
        last = first + n - 1


def test_a_ticker_goes_on_behind_the_last_time_it_is_told() -> None:
    assert Ticker(SetClock(100), last=500).take(3) == 501
    assert Ticker(SetClock(900), last=500).take(3) == 900
