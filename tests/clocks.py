"""Clocks that tests set by hand, in microseconds since the epoch."""

from likewise.times import DAY, SECOND

NEW_YEAR = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z."""

__all__ = ["DAY", "NEW_YEAR", "SECOND", "SetClock"]


class SetClock:
    """Stands still until told otherwise: then nothing but acceptance orders likes, and every time is predictable."""

    def __init__(self, now: int = NEW_YEAR) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def step(self, us: int) -> None:
        """Forwards, or back."""
        self.now += us
