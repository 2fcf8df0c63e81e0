"""Where a store's URL points on this machine. What the URL means beyond that is the store's own business."""

from pathlib import Path
from urllib.parse import unquote


def file_of(store: str) -> Path | None:
    """The file that a store's URL names; None for a store without one."""
    scheme, _, rest = store.partition(":")
    place = rest.partition("?")[0]
    return Path(unquote(place.removeprefix("//"))) if scheme == "sqlite" and place else None
