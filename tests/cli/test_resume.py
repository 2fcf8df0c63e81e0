"""An import that was interrupted goes on where it ended, and never skips a row that was not applied."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import apsw
import pytest

from likewise import Likes, Op, Outcome, StoreFailed
from likewise.model import Count
from likewise.transfer import importing, reading
from likewise.transfer.formats import Format, Source
from likewise.transfer.importing import Import, Notebook

from .conftest import Cli

pytestmark = pytest.mark.slow

ROWS = 20_000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_OPS", 100)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 4_096)


def rows(first: int = 0, last: int = ROWS) -> str:
    return "user_id,item_id\n" + "".join(f"user:{n},post:{n % 13}\n" for n in range(first, last))


class Failing:
    """Likes whose disk is full after some batches; counts what it was given."""

    def __init__(self, likes: Likes, batches_max: int) -> None:
        self._likes = likes
        self._batches_left = batches_max
        self.given = 0

    async def apply(self, ops: Iterable[Op]) -> list[Outcome]:
        ops = list(ops)
        self.given += len(ops)
        self._batches_left -= 1
        if self._batches_left < 0:
            raise StoreFailed("the disk is full")
        return await self._likes.apply(ops)


def run(store: str, path: Path, *, batches_max: int = 1_000_000, resume: bool = True) -> tuple[Import, int]:
    """Import a file; returns the import and how many ops it applied."""

    async def work() -> tuple[Import, int]:
        async with Likes.open(store) as likes:
            failing = Failing(likes, batches_max)
            import_ = Import(failing, Notebook(likes.store, path), lambda row: None)
            source = Source(str(path))
            try:
                await import_.run(source, Format.CSV, resume=resume)
            except StoreFailed:
                assert batches_max < 1_000_000
            finally:
                source.close()
            return import_, failing.given

    return asyncio.run(work())


def counts(store: str) -> list[Count]:
    async def work() -> list[Count]:
        async with Likes.open(store) as likes:
            return await likes.counts([f"post:{n}" for n in range(13)])

    return asyncio.run(work())


def complete(n: int = ROWS) -> list[int]:
    return [len(range(k, n, 13)) for k in range(13)]


@pytest.mark.parametrize("batches", [0, 1, 3, 50, 199])
def test_after_a_failure_it_goes_on_and_skips_nothing(cli: Cli, batches: int) -> None:
    path = cli.write("rows.csv", rows())
    run("sqlite:likes.db", path, batches_max=batches)
    import_, given = run("sqlite:likes.db", path)
    assert [count.count for count in counts("sqlite:likes.db")] == complete()
    assert import_.totals.read == ROWS
    assert import_.totals.liked + import_.totals.unchanged == ROWS
    if batches >= 50:
        assert import_.resumed_behind is not None
        assert given < ROWS


def test_again_and_again(cli: Cli) -> None:
    path = cli.write("rows.csv", rows())
    for _ in range(12):
        run("sqlite:likes.db", path, batches_max=20)
    import_, given = run("sqlite:likes.db", path)
    assert given < ROWS / 2
    assert import_.totals.read == ROWS
    assert [count.count for count in counts("sqlite:likes.db")] == complete()


def test_a_complete_import_leaves_nothing_to_resume(cli: Cli) -> None:
    path = cli.write("rows.csv", rows())
    run("sqlite:likes.db", path, batches_max=50)
    run("sqlite:likes.db", path)
    import_, given = run("sqlite:likes.db", path)
    assert import_.resumed_behind is None
    assert given == ROWS


def test_without_resume_it_begins_at_the_beginning(cli: Cli) -> None:
    path = cli.write("rows.csv", rows())
    run("sqlite:likes.db", path, batches_max=50)
    _, given = run("sqlite:likes.db", path, resume=False)
    assert given == ROWS


def test_another_store_has_no_note(cli: Cli) -> None:
    """A position kept beside the file would make this import skip rows that the other store never got."""
    path = cli.write("rows.csv", rows())
    run("sqlite:likes.db", path, batches_max=50)
    run("sqlite:other.db", path)
    assert [count.count for count in counts("sqlite:other.db")] == complete()


def test_a_file_changed_meanwhile_is_read_from_the_beginning(cli: Cli) -> None:
    path = cli.write("rows.csv", rows())
    run("sqlite:likes.db", path, batches_max=50)
    path.write_text(path.read_text().replace("user:7,", "USER:7,"))
    import_, given = run("sqlite:likes.db", path)
    assert (import_.resumed_behind, given) == (None, ROWS)
    path.write_text("user_id,item_id\n")  # shorter than where it ended
    run("sqlite:likes.db", path)


def test_a_file_that_has_grown_goes_on(cli: Cli) -> None:
    path = cli.write("rows.csv", rows(0, 10_000) + "user:10")
    run("sqlite:likes.db", path, batches_max=100)
    path.write_text(rows())
    import_, given = run("sqlite:likes.db", path)
    assert import_.resumed_behind is not None
    assert given < ROWS
    assert [count.count for count in counts("sqlite:likes.db")] == complete()


def test_gzipped_and_parquet(cli: Cli) -> None:
    import gzip

    packed = cli.write("rows.csv.gz", gzip.compress(rows().encode()))
    run("sqlite:likes.db", packed, batches_max=50)
    _, given = run("sqlite:likes.db", packed)
    assert given < ROWS
    cli("export", "rows.parquet")

    async def work(batches_max: int) -> int:
        async with Likes.open("sqlite:copy.db") as likes:
            failing, source = Failing(likes, batches_max), Source("rows.parquet")
            import_ = Import(failing, Notebook(likes.store, Path("rows.parquet")), lambda row: None)
            try:
                await import_.run(source, Format.PARQUET, resume=True)
            except StoreFailed:
                pass
            finally:
                source.close()
            return failing.given

    asyncio.run(work(2))
    asyncio.run(work(1_000_000))
    assert [count.count for count in counts("sqlite:copy.db")] == complete()


def test_resume_needs_a_file_and_a_store(cli: Cli) -> None:
    path = cli.write("rows.csv", rows(0, 10))
    assert "began at the start" in cli("import", path, "--resume").err
    for arguments in (["-"], [str(path), "--url", "http://127.0.0.1:1"]):
        assert "--resume needs a file" in cli("import", *arguments, "--resume", code=1).err


SLOWLY = """
from likewise.cli import main
from likewise.transfer import importing, reading

reading.BATCH_OPS, reading.BLOCK_BYTES, importing.NOTE_EVERY_S = 20, 1_000, 0
main()
"""


def noted(file: Path) -> bool:
    """Whether the import has left a note in the file that it works on."""
    try:
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.CantOpenError:
        return False
    try:
        return bool(connection.execute("select 1 from notes where key like 'kept:import:%'").fetchall())
    except (apsw.SQLError, apsw.BusyError):  # its table is still to come
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_real_process_interrupted(cli: Cli, how: signal.Signals) -> None:
    """Ctrl-C notes how far it came; kill -9 leaves an earlier note. Both resume to the same likes."""
    path = cli.write("rows.csv", rows())
    command = [sys.executable, "-c", SLOWLY, "import", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not noted(cli.folder / "likes.db"):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, how)
    _, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "--resume" in err
        assert "Traceback" not in err
    resumed = subprocess.run(
        [sys.executable, "-m", "likewise", *command[3:], "--resume"], capture_output=True, text=True, check=True
    )
    assert "went on behind line" in resumed.stderr
    assert resumed.stdout.startswith(f"{ROWS:,} rows read")
    assert [count.count for count in counts("sqlite:likes.db")] == complete()


def test_order_is_kept_with_batches_in_flight(cli: Cli) -> None:
    """A pair toggled across batches ends as its last row says."""
    toggles = "".join(f"alice,post:1,{'true' if n % 2 == 0 else 'false'}\n" for n in range(5_001))
    cli("import", cli.write("rows.csv", "user_id,item_id,liked\n" + toggles))
    assert cli("count", "post:1").out.split() == ["1", "post:1"]
    assert importing.IN_FLIGHT > 1
