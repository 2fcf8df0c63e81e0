"""What each tier is to reach: figures for two cores shared by client, server and disk.

What is asked of every tier alike stands with its figure, in `figures/`.
"""

import msgspec

from .rows import Target

Bounds = list[Target]


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """Rates are likes, reads or pages a second. "At scale": on each of the filled stores."""

    hot_puts: dict[int, Bounds]
    """By connections."""

    spread_puts: Bounds
    hot_puts_at_scale: Bounds = []
    spread_puts_at_scale: Bounds
    counts_at_scale: Bounds = []
    pages_at_scale: Bounds = []

    bulk_of_one_item: Bounds = []
    bulk_at: dict[int, Bounds]
    """Spread over a million items, by the likes that are stored."""

    written: Bounds = []
    """Bytes that go towards the disk for a like, over the whole fill."""

    disk: Bounds
    """Bytes a like."""

    memory: Bounds
    """Of the server, in MiB."""


def at_least(bound: float) -> Target:
    return Target(at_least=bound)


def at_most(bound: float) -> Target:
    return Target(at_most=bound)


def ratio_at_least(bound: float) -> Target:
    return Target(of="ratio", at_least=bound)


def p99_at_most(ms: float) -> Target:
    return Target(of="p99_ms", at_most=ms)


SPREAD_SQLITE = [at_least(12_000), p99_at_most(100)]

SQLITE = Targets(
    hot_puts={64: [at_least(30_000)], 256: [at_least(40_000)]},
    spread_puts=[at_least(25_000)],
    spread_puts_at_scale=SPREAD_SQLITE,
    bulk_at={1_000_000: SPREAD_SQLITE, 10_000_000: SPREAD_SQLITE},
    disk=[at_most(200)],
    memory=[at_most(512)],
)

ROCKSDB = Targets(
    hot_puts={64: [at_least(33_000)]},
    spread_puts=[at_least(28_000)],
    hot_puts_at_scale=[at_least(33_000)],
    spread_puts_at_scale=[at_least(28_000)],
    counts_at_scale=[at_least(35_000)],
    pages_at_scale=[at_least(15_000)],
    bulk_of_one_item=[at_least(100_000)],
    bulk_at={10_000_000: [at_least(50_000)]},
    written=[at_most(1_500)],
    disk=[at_most(120)],
    memory=[at_most(10**9 / 2**20)],
)
