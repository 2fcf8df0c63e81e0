"""The power goes, and with it every write that was not synced: what was answered is on the disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import apsw
import pytest

from likewise.errors import LikewiseError
from likewise.model import Op
from likewise.store import open_store
from likewise.store.sqlite import database
from tests.clocks import SetClock
from tests.crash.history import History
from tests.sqlite.disks import CachingDisk, plugged_in

BATCHES = 40

SMALL = 0.03
"""Of WAL: cuts meet checkpoints, and the WAL starting over. When they come is up to the threads."""

LARGE = 32.0
"""Of WAL: no checkpoint comes, so that a planted fault loses the same in each run."""


@contextmanager
def wal_of(megabytes: float) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("likewise.store.sqlite.WAL_MB", megabytes)
        yield


async def work(url: str, history: History) -> None:
    """Some batches of likes and unlikes, one after the other, until all are done or the power is gone."""
    random = Random(7)
    try:
        store = await open_store(url, clock=SetClock())
    except LikewiseError:
        return
    try:
        for _ in range(BATCHES):
            pairs = [(f"u{n}", f"i{random.randrange(4)}") for n in random.sample(range(12), 5)]
            ops = [Op(user_id, item_id, random.random() < 0.6) for user_id, item_id in pairs]
            for pair, op in zip(pairs, ops, strict=True):
                history.ask(pair, op.liked)
            await store.apply(ops)
            for pair, op in zip(pairs, ops, strict=True):
                history.answer(pair, op.liked)
    except LikewiseError:
        pass  # not answered
    finally:
        await store.close()


async def problems_after_cut(
    folder: Path, lives: int | None, *, tears: Random | None = None, lies: bool = False, wal: float = SMALL
) -> tuple[list[str], History, int]:
    """Work until the power goes after `lives` writes and syncs (None: right at the end), and look at what is left."""
    folder.mkdir()
    history = History()
    url = f"sqlite:{folder}/likes.db"
    name = f"power-{folder.name}"
    with wal_of(wal), plugged_in(lambda: CachingDisk(name, lives=lives, tears=tears, lies=lies)) as disk:
        await work(f"{url}?vfs={name}", history)
        if lives is None:
            disk.cut()
    try:
        store = await open_store(url, clock=SetClock())
    except LikewiseError as error:
        return [f"cannot be opened: {error}"], history, disk.used
    try:
        return await history.problems(store), history, disk.used
    except LikewiseError as error:
        return [f"cannot be read: {error}"], history, disk.used
    finally:
        await store.close()


async def cut_everywhere(folder: Path, every: int, seeds: list[int | None]) -> int:
    """Cut after each `every`-th write or sync; returns how many answers stood the test."""
    _, _, used = await problems_after_cut(folder / "whole", None)
    answers = 0
    for lives in range(0, used, every):
        for seed in seeds:
            tears = None if seed is None else Random(seed + lives)
            problems, history, _ = await problems_after_cut(folder / f"{lives}-{seed}", lives, tears=tears)
            assert problems == [], f"power cut after {lives} writes, seed {seed}"
            answers += history.answers
    return answers


async def test_without_a_cut_the_disk_holds_everything(folder: Path) -> None:
    problems, history, used = await problems_after_cut(folder / "whole", None)
    assert (problems, history.answers) == ([], BATCHES * 5)
    assert used > 2 * BATCHES


async def test_a_power_cut_loses_nothing_that_was_answered(folder: Path) -> None:
    assert await cut_everywhere(folder, 23, [None, 1]) > 0


@pytest.mark.slow
async def test_a_power_cut_anywhere_loses_nothing_that_was_answered(folder: Path) -> None:
    assert await cut_everywhere(folder, 1, [None, 1, 2]) > 0


async def test_the_check_finds_a_disk_that_lies_about_syncs(folder: Path) -> None:
    found = [
        bool((await problems_after_cut(folder / f"{lives}", lives, lies=True, wal=LARGE))[0])
        for lives in (100, 150, 200)
    ]
    assert all(found)


async def test_the_check_finds_a_store_that_does_not_sync(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure = database.configure

    def careless(connection: apsw.Connection, cache_mb: float) -> None:
        configure(connection, cache_mb)
        connection.execute("pragma synchronous = off")

    monkeypatch.setattr(database, "configure", careless)
    found = [bool((await problems_after_cut(folder / f"{lives}", lives, wal=LARGE))[0]) for lives in (50, 100, 150)]
    assert all(found)


async def test_the_check_finds_a_store_that_syncs_only_at_checkpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure = database.configure

    def careless(connection: apsw.Connection, cache_mb: float) -> None:
        configure(connection, cache_mb)
        connection.execute("pragma synchronous = normal")  # keeps the database whole, and loses the last answers

    monkeypatch.setattr(database, "configure", careless)
    found = [bool((await problems_after_cut(folder / f"{lives}", lives, wal=LARGE))[0]) for lives in (50, 100, 150)]
    assert all(found)


async def test_two_looks_at_one_disk_agree(folder: Path) -> None:
    """What reopening mended stays mended."""
    await problems_after_cut(folder / "a", 120)
    url = f"sqlite:{folder}/a/likes.db"
    seen = []
    for _ in range(2):
        store = await open_store(url, clock=SetClock())
        seen.append((await store.verify(), await store.stats()))
        await store.close()
    assert seen[0][0] == seen[1][0]
    assert seen[0][1].position == seen[1][1].position
