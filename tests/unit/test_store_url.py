"""What the URL of a store says, and which ones say nothing. What a tier makes of its settings is the tier's tests'."""

from pathlib import Path

import msgspec
import pytest

from likewise.errors import SetupError
from likewise.store import open_store
from likewise.store.memory import MemoryStore
from likewise.store.url import StoreUrl


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Of no tier."""

    size: float = 1
    name: str | None = None


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:likes.db", "likes.db"),
        ("sqlite:///srv/likes.db", "/srv/likes.db"),
        ("sqlite:/srv/likes.db", "/srv/likes.db"),
        ("sqlite:a%20b%3F%25.db?size=3", "a b?%.db"),
        ("sqlite:a:b#1.db", "a:b#1.db"),
        ("sqlite:é😀.db", "é😀.db"),
    ],
)
def test_a_file_is_named(url: str, file: str) -> None:
    assert StoreUrl.parse(url).path == Path(file)


def test_settings_are_the_tiers() -> None:
    assert StoreUrl.parse("sqlite:likes.db?size=2.5&name=a%26b").settings(Settings) == Settings(2.5, "a&b")
    assert StoreUrl.parse("sqlite:likes.db?").settings(Settings) == Settings()


@pytest.mark.parametrize("query", ["size=big", "size", "size=", "=1", "size=1&"])
def test_bad_settings_are_said_with_the_known_ones(query: str) -> None:
    with pytest.raises(SetupError, match="Known settings: size, name"):
        StoreUrl.parse(f"sqlite:likes.db?{query}").settings(Settings)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "names no store"),
        (":", "names no store"),
        ("likes.db", "names no store"),
        ("mysql:x", "names no store"),
        ("sqlite", "names no store"),
        ("sqlite:", "name a file"),
        ("sqlite://", "name a file"),
        ("sqlite:?cache_mb=1", "name a file"),
        ("sqlite::memory:", "is called memory:"),
        ("sqlite::memory:?cache_mb=1", "is called memory:"),
        ("sqlite:a%00b.db", "null byte"),
        ("sqlite:%FF.db", "must be UTF-8"),
        ("sqlite:\udcff.db", "must be UTF-8"),
        ("memory:?x=1", "no settings"),
        ("memory:likes", "no name"),
    ],
)
async def test_what_names_no_store_is_refused(url: str, says: str) -> None:
    with pytest.raises(SetupError, match=says):
        await open_store(url)


@pytest.mark.parametrize("url", ["memory:", "memory://"])
async def test_a_store_in_memory(url: str) -> None:
    assert isinstance(await open_store(url), MemoryStore)
