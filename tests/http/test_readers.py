"""Starting, watching and stopping readers: with stand-ins for them that do not behave."""

import asyncio
import errno
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from likewise import Likes
from likewise.errors import SetupError
from likewise.http.readers import STARTS_MAX, Readers
from likewise.http.server import serve
from likewise.settings import Settings

TOO_MANY_FILES = OSError(errno.EMFILE, "Too many open files")


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
    settings = Settings(store=store, workers=workers)
    async with Likes.open("memory:") as likes, Readers(likes, settings, "127.0.0.1", 1) as running:
        await running.serving
        yield running


async def test_a_reader_that_does_not_start_is_an_error_of_the_start(stand_in: Path) -> None:
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(SetupError, match=r"reader process [23] did not start \(exit status 1\)"):
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
    assert [entry.get("why") for entry in logs] == ["exit status 3"] * STARTS_MAX + [None]
    assert len(started.read_text().splitlines()) == STARTS_MAX
    assert '"worker":2' in Path(f"{stand_in}.told").read_text()


async def test_a_reader_that_never_serves_is_an_error_of_the_start(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.http.readers.START_S", 0.1)
    stand_in.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    with pytest.raises(SetupError, match="did not serve within"):
        async with readers():
            pass


async def test_a_process_that_cannot_be_had_is_an_error_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "create_subprocess_exec", AsyncMock(side_effect=TOO_MANY_FILES))
    with pytest.raises(SetupError, match=r"did not start \(.*Too many open files\)"):
        async with readers():
            pass


async def test_a_process_that_cannot_be_had_later_is_tried_again(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.write_text("#!/bin/sh\necho serving\nread told\nexit 3\n")
    create = asyncio.create_subprocess_exec
    tries = count(1)

    async def sometimes(*arguments: Any, **options: Any) -> Process:
        if next(tries) == 2:
            raise TOO_MANY_FILES
        return await create(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", sometimes)
    with capture_logs() as logs:
        async with readers() as running:
            await asyncio.wait_for(asyncio.gather(*running._tasks), 20)
    whys = [entry.get("why") for entry in logs]
    assert whys == ["exit status 3", str(TOO_MANY_FILES), *["exit status 3"] * (STARTS_MAX - 2), None]


async def test_a_stop_signal_is_heard_while_a_reader_does_not_serve(
    tmp_path: Path, stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.write_text("#!/bin/sh\nkill -TERM $PPID\nexec tail -f /dev/null\n")
    for of_the_whole_process in ("configure", "tune_garbage_collection"):
        monkeypatch.setattr(f"likewise.http.server.{of_the_whole_process}", lambda *_: None)
    started: list[str] = []
    settings = Settings(store=f"rocksdb:{tmp_path}/likes?memory_mb=16", port=0, workers=2)
    await asyncio.wait_for(serve(settings, started.append), 20)
    assert not started


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
