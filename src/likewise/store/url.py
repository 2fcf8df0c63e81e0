"""What a store's URL says: `scheme:place?settings`. Everyone who looks into one does it with `StoreUrl.parse`."""

from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from ..errors import SetupError

S = TypeVar("S", bound=msgspec.Struct)

KNOWN = "sqlite:likes.db (a file), rocksdb:likes/ (a folder), memory: (nothing is kept)"

FRUGAL = {"sqlite": "cache_mb=16", "rocksdb": "memory_mb=64"}
"""What follows the `?`, by the tier, where a store is opened beside the one that all the memory is meant for."""


class StoreUrl(msgspec.Struct, frozen=True):
    """A URL that names a store: of which tier, where on disk (None for one without), and what follows the `?`."""

    text: str
    scheme: str
    path: Path | None = None
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> "StoreUrl":
        """Take a URL apart; nothing is looked up. Raises SetupError for one that can name no store."""
        scheme, colon, rest = text.partition(":")
        place, _, query = rest.partition("?")
        match scheme if colon else "":
            case "sqlite":
                return cls(text, scheme, _path(text, place.removeprefix("//"), "a file, as in sqlite:likes.db"), query)
            case "rocksdb":
                return cls(text, scheme, _path(text, place.removeprefix("//"), "a folder, as in rocksdb:likes/"), query)
            case "memory":
                if rest.removeprefix("//"):
                    raise SetupError(f"{text}: a store in memory has no name and no settings; write memory:")
                return cls(text, scheme)
            case _:
                raise SetupError(f"{text!r} names no store. Known: {KNOWN}.")

    def settings(self, kind: type[S]) -> S:
        """The tier's own settings. Raises SetupError for one that is unknown or out of bounds."""
        try:
            given = dict(parse_qsl(self.query, keep_blank_values=True, strict_parsing=bool(self.query)))
            return msgspec.convert(given, kind, strict=False)
        except (ValueError, msgspec.ValidationError) as error:
            known = ", ".join(field.name for field in msgspec.structs.fields(kind))
            raise SetupError(f"{self.text}: {error}. Known settings: {known}.") from error


def _path(text: str, place: str, wanted: str) -> Path:
    if not place:
        raise SetupError(f"{text} names no store: name {wanted}")
    if place == ":memory:":
        raise SetupError(f"{text} is nowhere on disk. A store that keeps nothing is called memory:")
    try:
        name = unquote(place, errors="strict")
        name.encode()  # undecodable bytes of the command line are surrogates here
    except UnicodeError as error:
        raise SetupError(f"{text!r} names no path: it must be UTF-8") from error
    if "\0" in name:
        raise SetupError(f"{text!r} names no path: none has a null byte in it")
    return Path(name)
