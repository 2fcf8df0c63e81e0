"""The ids of the bench, 12 bytes each, and the users nobody has seen before.

Users of the fill lie SPACING apart, so that new ones fall between them, anywhere in every tree. `wrk/likes.lua` and
`wrk/replay.lua` make new users by the same rule.
"""

from collections.abc import Iterator
from random import Random

SPACE = 10**10
STRIDE = 6_180_339_887
"""Has no factor in common with SPACE, so stepping by it visits each place once before any twice, and no two steps are
neighbours."""

FILL_USERS = 1_000_000
SPACING = SPACE // FILL_USERS


def user(place: int) -> str:
    return f"u{SPACE + place}"


def item(place: int) -> str:
    return f"i{SPACE + place}"


HOT = item(0)


def start() -> int:
    """Where a run of new users begins: elsewhere each time, so that two runs on one store share no users."""
    return Random().randrange(SPACE)


def new_users(place: int) -> Iterator[str]:
    """Users that are new and far apart, from `place` on, without end."""
    while True:
        place = (place + STRIDE) % SPACE
        yield user(place)
