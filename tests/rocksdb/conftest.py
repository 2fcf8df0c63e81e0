"""A fresh RocksDB store, and its directory."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from likewise.store import open_store
from likewise.store.rocksdb import RocksStore
from tests.clocks import SetClock


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "likes"


@pytest.fixture
def url(path: Path) -> str:
    return f"rocksdb:{path}?memory_mb=16"


@pytest.fixture
def store(url: str, clock: SetClock, runner: asyncio.Runner) -> Iterator[RocksStore]:
    store = runner.run(open_store(url, clock=clock))
    assert isinstance(store, RocksStore)
    yield store
    runner.run(store.close())
