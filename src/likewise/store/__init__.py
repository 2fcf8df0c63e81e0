"""The one place that names the tiers. A driver is imported only when its tier is chosen."""

from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from ..errors import SetupError
from ..times import Clock, wall_clock
from .contract import Store
from .memory import MemoryStore

S = TypeVar("S")

KNOWN = "sqlite:likes.db (a file), memory: (nothing is kept)"


async def open_store(url: str, *, clock: Clock = wall_clock) -> Store:
    """Open the store that `url` names: its scheme chooses the tier, its query sets the tier's settings.

    Raises SetupError for a URL that names no store, and what the tier raises.
    """
    scheme, colon, rest = url.partition(":")
    place, _, query = rest.partition("?")
    match scheme if colon else "":
        case "sqlite":
            from .sqlite import Settings, SqliteStore

            if not place:
                raise SetupError("name a file: sqlite:likes.db")
            path = Path(unquote(place.removeprefix("//")))
            return await SqliteStore.open(path, _settings(url, query, Settings), clock=clock)
        case "memory":
            return MemoryStore(clock=clock)
        case _:
            raise SetupError(f"{url!r} names no store. Known: {KNOWN}.")


def _settings(url: str, query: str, kind: type[S]) -> S:
    try:
        return msgspec.convert(dict(parse_qsl(query, strict_parsing=bool(query))), kind, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(kind))  # type: ignore[arg-type]
        raise SetupError(f"{url}: {error}. Known settings: {known}.") from error
