"""Starting, watching and stopping readers: with stand-ins for them that do not behave."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from likewise import Likes
from likewise.errors import SetupError
from likewise.http.readers import STARTS_MAX, Readers
from likewise.settings import Settings


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script to be written, which is run instead of a reader."""
    script = tmp_path / "reader"
    script.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr("likewise.http.readers.PAUSE_S", 0.001)
    return script


@asynccontextmanager
async def readers(workers: int = 2, store: str = "rocksdb:x") -> AsyncIterator[Readers]:
    async with Likes.open("memory:") as likes:
        running = Readers(likes, Settings(store=store, workers=workers), "127.0.0.1", 1)
        async with running:
            yield running


async def test_a_reader_that_does_not_start_is_an_error_of_the_start(stand_in: Path) -> None:
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(SetupError, match=r"reader process [23] did not start"):
        async with readers(3):
            pass


async def test_a_reader_that_cannot_open_the_store_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SetupError):
        async with readers(store=f"rocksdb:{tmp_path}/none"):
            pass
    said = capfd.readouterr().err
    assert said.startswith(f"likewise: worker 2: {tmp_path}/none "), said
    assert "is gone" not in said


async def test_a_reader_that_ends_again_and_again_is_given_up(stand_in: Path) -> None:
    started = stand_in.with_name("started")
    stand_in.write_text(f"#!/bin/sh\ncat > {stand_in}.told\necho serving\necho >> {started}\nexit 3\n")
    with capture_logs() as logs:
        async with readers() as running:
            await asyncio.wait_for(asyncio.gather(*running._tasks), 20)
    assert [entry.get("status") for entry in logs] == [3] * STARTS_MAX + [None]
    assert len(started.read_text().splitlines()) == STARTS_MAX
    assert '"worker":2' in Path(f"{stand_in}.told").read_text()


async def test_a_reader_that_does_not_end_is_killed(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.http.readers.STOP_S", 0.1)
    stand_in.write_text("#!/bin/sh\ncat > /dev/null\ntrap '' TERM\necho serving\nexec tail -f /dev/null\n")
    with capture_logs() as logs:
        async with readers():
            pass
    assert [entry["event"] for entry in logs] == ["a reader process did not end in time"]


async def test_one_process_has_no_readers(stand_in: Path) -> None:
    async with readers(1):
        pass
    assert not stand_in.with_name("told").exists()
