"""The one place that names the tiers. A driver is imported only when its tier is chosen."""

from pathlib import Path

from ..times import Clock, wall_clock
from .contract import Store
from .memory import MemoryStore
from .url import StoreUrl


async def open_store(url: str, *, clock: Clock = wall_clock) -> Store:
    """Open the store that `url` names: its scheme chooses the tier, its query sets the tier's settings.

    Raises SetupError for a URL that names no store, and what the tier raises.
    """
    match named := StoreUrl.parse(url):
        case StoreUrl(scheme="sqlite", path=Path() as path):
            from .sqlite import Settings, SqliteStore

            return await SqliteStore.open(path, named.settings(Settings), clock=clock)
        case _:
            return MemoryStore(clock=clock)
