"""What the bench knows of a tier beyond its URL: at which sizes it is measured, what it is to reach, its bare driver.

To measure a tier, give it an entry in tests/tiers.py, and one here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from likewise.store.url import StoreUrl
from tests.tiers import TIERS as REGISTERED

from .peers import Bare
from .peers.rocksdb import BareRocksdb
from .peers.sqlite import BareSqlite
from .targets import ROCKSDB, SQLITE, Targets

Sizes = tuple[int, int, int]
"""Likes in the small, the middle and the large store."""


class Tier(NamedTuple):
    """A tier, as the bench measures it."""

    name: str
    sizes: Sizes
    targets: Targets
    driver: Callable[[Path], Bare]

    def url(self, folder: Path) -> str:
        """The URL of the store that belongs to a folder."""
        return next(tier.url(folder) for tier in REGISTERED if tier.name == self.name)

    def bare(self, folder: Path) -> Bare:
        """The bare driver on the store that belongs to a folder."""
        path = StoreUrl.parse(self.url(folder)).path
        assert path, f"{self.name} keeps nothing on disk"
        return self.driver(path)

    def sizes_up_to(self, likes: int | None) -> Sizes:
        """The sizes, in proportion, where the large store has so many likes (None: as many as it should)."""
        small, middle, large = self.sizes
        likes = likes or large
        return small * likes // large, middle * likes // large, likes


TIERS = {
    tier.name: tier
    for tier in (
        Tier("sqlite", (100_000, 1_000_000, 10_000_000), SQLITE, BareSqlite),
        Tier("rocksdb", (1_000_000, 10_000_000, 50_000_000), ROCKSDB, BareRocksdb),
    )
}
