"""`move`: every like arrives once, with its time and type, and the store that it came from is untouched."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import apsw
import pytest

from likewise import Op, Outcome, SetupError, StoreFailed
from likewise.model import Change, Like
from likewise.store import open_store
from likewise.store.contract import Store
from likewise.transfer import moving
from tests.ops import all_changes, everything, like, unlike
from tests.tiers import TIERS, Tier

from . import nasa
from .conftest import Cli
from .test_import_real import EXPECTED, ROWS, check

pytestmark = pytest.mark.slow

A, B = "sqlite:a.db", "sqlite:b.db"
DURABLE = [tier for tier in TIERS if tier.durable]


def work_on(url: str, work: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await open_store(url)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


def apply(url: str, ops: Sequence[Op]) -> None:
    async def work(store: Store) -> None:
        await store.apply(ops)

    work_on(url, work)


def content(url: str) -> tuple[list[Like], list[Change]]:
    """All likes, and the change stream."""
    found: list[tuple[list[Like], list[Change]]] = []

    async def work(store: Store) -> None:
        found.append((await everything(store, 1_000), await all_changes(store, None, 1_000)))

    work_on(url, work)
    return found[0]


def some(n: int = 5_000) -> list[Op]:
    return [like(f"user:{k % 97:02}", f"post:{k}", "photo" if k % 3 else None, 1_000 * k) for k in range(n)]


def test_the_log_moves_whole(cli: Cli) -> None:
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)), "--store", A)
    before, file = content(A), (cli.folder / "a.db").read_bytes()
    moved = cli("move", A, B, "--json").records[0]
    assert (moved["likes"], moved["different"], moved["report"]["drifted"]) == (len(EXPECTED.likes), 0, 0)
    check(B, EXPECTED)
    assert content(A) == before
    assert (cli.folder / "a.db").read_bytes() == file
    assert content(B)[0] == before[0]


def test_times_and_types_arrive(cli: Cli) -> None:
    apply(A, [*some(), unlike("user:00", "post:0")])
    answer = cli("move", A, B)
    assert answer.out.startswith("moved 4,999 likes to sqlite:b.db, and compared them one by one: all are the same.\n")
    assert "Everything agrees" in answer.out
    assert answer.err == ""
    assert content(B)[0] == content(A)[0]


@pytest.mark.parametrize("target", DURABLE, ids=lambda tier: tier.name)
@pytest.mark.parametrize("source", DURABLE, ids=lambda tier: tier.name)
def test_any_store_moves_to_any(cli: Cli, source: Tier, target: Tier) -> None:
    for name in ("from", "to"):
        (cli.folder / name).mkdir()
    here, there = source.url(cli.folder / "from"), target.url(cli.folder / "to")
    apply(here, [*some(), unlike("user:00", "post:0")])
    assert cli("move", here, there, "--json").records[0]["likes"] == 4_999
    assert content(there)[0] == content(here)[0]


def test_an_empty_store_moves(cli: Cli) -> None:
    apply(A, [])
    assert "moved 0 likes" in cli("move", A, B).out


def test_a_store_in_memory_is_no_place_to_move_to_or_from(cli: Cli) -> None:
    apply(A, some(10))
    for stores in ((A, "memory:"), ("memory:", B)):
        assert "memory: keeps nothing" in cli("move", *stores, code=1).err
    assert not (cli.folder / "b.db").exists()


def test_what_is_not_there_or_the_same_is_refused(cli: Cli) -> None:
    assert "there is no store" in cli("move", A, B, code=1).err
    assert not (cli.folder / "b.db").exists()
    apply(A, some(10))
    (cli.folder / "link.db").symlink_to("a.db")
    for again in (A, "sqlite:./a.db", "sqlite:link.db"):
        assert "are the same store" in cli("move", A, again, code=1).err


def test_a_target_with_likes_of_its_own_is_refused_and_kept(cli: Cli) -> None:
    apply(A, some(10))
    apply(B, [like("own", "x")])
    assert "has 1 likes already" in cli("move", A, B, code=1).err
    assert [row.user_id for row in content(B)[0]] == ["own"]
    cli("move", A, "sqlite:c.db")
    assert "has 10 likes already" in cli("move", A, "sqlite:c.db", code=1).err, "a move that is over is not resumed"


def move(batches_max: int = 1_000_000, source: str = A) -> tuple[moving.Checked | None, int]:
    """Move to B; ends early after so many batches. What was checked, and how many likes were applied."""

    async def work() -> tuple[moving.Checked | None, int]:
        here, there = await open_store(source), await open_store(B)
        apply, given = there.apply, 0

        async def counted(ops: Sequence[Op]) -> list[Outcome]:
            nonlocal given
            if given >= batches_max * moving.BATCH_OPS:
                raise StoreFailed("the disk is full")
            given += len(ops)
            return await apply(ops)

        there.apply = counted  # type: ignore[method-assign]
        try:
            await moving.move(here, there, await moving.begin(here, there))
            return await moving.check(here, there), given
        except StoreFailed:
            return None, given
        finally:
            await here.close()
            await there.close()

    return asyncio.run(work())


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "BATCH_OPS", 100)
    monkeypatch.setattr(moving, "NOTE_EVERY_S", 0)


@pytest.mark.parametrize("batches", [0, 1, 7, 49])
def test_after_a_failure_it_goes_on(cli: Cli, small_steps: None, batches: int) -> None:
    apply(A, some())
    assert move(batches) == (None, batches * 100)
    checked, given = move()
    assert checked is not None
    assert (checked.good, checked.likes) == (True, 5_000)
    assert given == 5_000 - batches * 100
    assert content(B)[0] == content(A)[0]


def test_again_and_again(cli: Cli, small_steps: None) -> None:
    apply(A, some())
    for _ in range(9):
        assert move(5)[0] is None
    checked, given = move()
    assert checked
    assert checked.good
    assert given == 500


def test_interrupted_before_a_note_it_repeats_and_doubles_nothing(
    cli: Cli, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "NOTE_EVERY_S", 3_600)
    apply(A, some())
    assert move(20)[0] is None
    checked, given = move()
    assert checked
    assert checked.good
    assert given == 5_000


def test_a_half_moved_target_takes_no_other_source(cli: Cli, small_steps: None) -> None:
    apply(A, some())
    apply("sqlite:other.db", some())
    move(5)
    with pytest.raises(SetupError, match="from another source"):
        move(source="sqlite:other.db")
    apply(A, [unlike("user:00", "post:0")])
    with pytest.raises(SetupError, match="written to since"):
        move()
    assert len(content(B)[0]) == 500


def test_what_differs_is_said(cli: Cli, small_steps: None) -> None:
    """Somebody used the target before the move was over."""
    apply(A, some())
    move(49)
    found = content(B)[0]
    apply(B, [unlike(found[0].user_id, found[0].item_id), like("own", "x")])
    apply(B, [unlike(found[1].user_id, found[1].item_id), like(found[1].user_id, found[1].item_id, "other", 5)])
    answer = cli("move", A, B, code=1)
    assert answer.err.startswith("going on behind the first 4,900 likes")
    assert "3 of 5,000 likes differ in sqlite:b.db:" in answer.out
    assert f"  {found[0].user_id} → {found[0].item_id} is missing in the target\n" in answer.out
    assert "  own → x is in the target only\n" in answer.out
    assert "and in the target of 1970-01-01T00:00:00.000005Z and type other" in answer.out
    assert cli("move", A, B, "--json", code=1).records[0]["different"] == 3, "it is not over"


def compared() -> moving.Checked:
    async def work() -> moving.Checked:
        here, there = await open_store(A), await open_store(B)
        try:
            return await moving.check(here, there)
        finally:
            await here.close()
            await there.close()

    return asyncio.run(work())


def test_a_drifted_count_in_the_target_is_said(cli: Cli) -> None:
    apply(A, some(10))
    move()
    connection = apsw.Connection("b.db")
    connection.execute("update item_likes set likes = 41 where item_id = 'post:1' and rank = 0").fetchall()
    connection.close()
    checked = compared()
    assert (checked.different, checked.report.drifted, checked.good) == (0, 1, False)


def test_of_many_differences_a_hundred_are_shown(cli: Cli) -> None:
    apply(A, some(150))
    apply(B, [like("z", f"{n}") for n in range(150)])
    checked = compared()
    assert (checked.likes, checked.different, len(checked.differences)) == (150, 300, 100)


SLOWLY = """
from likewise.cli import main
from likewise.transfer import moving

moving.BATCH_OPS, moving.NOTE_EVERY_S = 20, 0
main()
"""


def note(file: Path) -> bytes:
    """What the move has noted so far in the file that it works on."""
    try:
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.CantOpenError:
        return b""
    try:
        found = connection.execute("select value from notes where key = 'kept:move'").fetchall()
        return found[0][0] if found else b""  # type: ignore[return-value]
    except (apsw.SQLError, apsw.BusyError):  # its table is still to come
        return b""
    finally:
        connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_real_process_interrupted(cli: Cli, how: signal.Signals) -> None:
    apply(A, some(20_000))
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "move", A, B], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while b"post:" not in note(cli.folder / "b.db"):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, how)
    _, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Run it again to go on" in err
        assert "Traceback" not in err
    answer = cli("move", A, B)
    assert answer.err.startswith("going on behind the first ")
    assert answer.out.startswith("moved 20,000 likes")
    assert content(B)[0] == content(A)[0]
