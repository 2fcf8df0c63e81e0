"""A fresh SQLite store, and its file."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from likewise.store import open_store
from likewise.store.sqlite import SqliteStore
from tests.clocks import SetClock


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "likes.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:{file}"


@pytest.fixture
def store(url: str, clock: SetClock, runner: asyncio.Runner) -> Iterator[SqliteStore]:
    store = runner.run(open_store(url, clock=clock))
    assert isinstance(store, SqliteStore)
    yield store
    runner.run(store.close())
