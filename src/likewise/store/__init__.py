"""The one place that names the tiers. A driver is imported only when its tier is chosen."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SetupError
from ..times import Clock, wall_clock
from .contract import Store
from .link import Link
from .memory import MemoryStore
from .url import StoreUrl


@contextmanager
def extra(tier: str, driver: str) -> Generator[None]:
    """Say how to install a tier's driver where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != driver:
            raise
        raise SetupError(f"{tier}: needs {driver}. Install it with: pip install 'likewise[{tier}]'") from error


async def open_store(url: str, *, clock: Clock = wall_clock) -> Store:
    """Open the store that `url` names: its scheme chooses the tier, its query sets the tier's settings.

    Raises SetupError for a URL that names no store, and what the tier raises.
    """
    match named := StoreUrl.parse(url):
        case StoreUrl(scheme="sqlite", path=Path() as path):
            from .sqlite import Settings, SqliteStore

            return await SqliteStore.open(path, named.settings(Settings), clock=clock)
        case StoreUrl(scheme="rocksdb", path=Path() as path):
            with extra("rocksdb", "rocksdict"):
                from .rocksdb import RocksStore
                from .rocksdb import Settings as RocksSettings

            return await RocksStore.open(path, named.settings(RocksSettings), clock=clock)
        case _:
            return MemoryStore(clock=clock)


async def open_reader(url: str, link: Link, *, clock: Clock = wall_clock) -> Store:
    """Read along in the store that `url` names and the process at the other end of `link` has open. Raises SetupError,
    also for a tier of one process."""
    match named := StoreUrl.parse(url):
        case StoreUrl(scheme="rocksdb", path=Path() as path):
            from .rocksdb import Settings
            from .rocksdb.reader import RocksReader

            return await RocksReader.open(path, named.settings(Settings), link, clock=clock)
        case _:
            raise SetupError(f"{url} is for one process: workers need a rocksdb: store")
