"""The WAL stays bounded while the writer never rests, and the database holds it all after a close."""

import asyncio
from pathlib import Path

import pytest

from likewise import Likes
from likewise.store import open_store
from likewise.store.sqlite.checkpointer import Checkpointer
from likewise.store.sqlite.database import PAGE_BYTES, connect
from tests.clocks import SetClock
from tests.ops import like

FRAME_BYTES = PAGE_BYTES + 24
WAL_MB = 0.5

BOUND = 32 * WAL_MB * 2**20
"""Room for what the writer adds while a pass waits for its turn on a busy machine; the tests write several times it."""


@pytest.fixture
def small_wal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.store.sqlite.WAL_MB", WAL_MB)


@pytest.mark.slow
@pytest.mark.usefixtures("small_wal")
async def test_the_wal_stays_bounded_under_sustained_writes(url: str, file: Path, clock: SetClock) -> None:
    store = await open_store(url, clock=clock)
    wal = file.with_name("likes.db-wal")
    largest = 0
    for n in range(1_000):
        await store.apply([like(f"u{n * 97 % 1009}-{k}", f"i{k * n % 499}") for k in range(40)])
        largest = max(largest, wal.stat().st_size)
    assert largest < BOUND
    assert (await store.verify()).drifted == 0
    await store.close()
    assert not wal.exists()


@pytest.mark.usefixtures("small_wal")
async def test_the_wal_starts_over_and_is_not_only_copied(url: str, file: Path, clock: SetClock) -> None:
    store = await open_store(url, clock=clock)
    wal = file.with_name("likes.db-wal")
    salts: set[bytes] = set()
    for n in range(300):
        await store.apply([like(f"u{n}-{k}", f"i{k}") for k in range(30)])
        salts.add(wal.read_bytes()[16:24])
        await asyncio.sleep(0)
    assert len(salts) > 2, "each time the WAL starts over it gets new salts"
    await store.close()


@pytest.mark.slow
@pytest.mark.usefixtures("small_wal")
async def test_the_wal_stays_bounded_while_reads_and_verify_go_on(url: str, file: Path, clock: SetClock) -> None:
    async with Likes.open(url, clock=clock) as likes:
        largest = 0

        async def write() -> None:
            nonlocal largest
            for n in range(1_000):
                await likes.apply([like(f"u{n}-{k}", f"i{k}") for k in range(40)])
                largest = max(largest, file.with_name("likes.db-wal").stat().st_size)

        writing = asyncio.ensure_future(write())
        while not writing.done():
            assert (await likes.verify()).drifted == 0
            await likes.likers_page("i0")
        await writing
        assert largest < BOUND


async def test_closing_in_the_middle_of_a_checkpoint_ends(url: str, file: Path, clock: SetClock) -> None:
    await (await open_store(url, clock=clock)).close()
    connection = connect(file, 1)
    for _ in range(100):
        checkpointer = Checkpointer(connect(file, 1), 0)
        checkpointer.committed(connection, 1)  # the thread wakes up
        await asyncio.wait_for(asyncio.to_thread(checkpointer.close), 30)
    connection.close()


async def test_a_store_that_died_with_a_full_wal_opens_with_everything(url: str, file: Path, clock: SetClock) -> None:
    store = await open_store(url, clock=clock)
    for n in range(20):
        await store.apply([like(f"u{n}-{k}", f"i{k}") for k in range(20)])
    copy = file.with_name("copy.db")
    for suffix in ("", "-wal"):  # what a machine that stopped right now would find
        copy.with_name(copy.name + suffix).write_bytes(file.with_name(file.name + suffix).read_bytes())
    await store.close()
    again = await open_store(f"sqlite:{copy}")
    assert (await again.stats()).likes == 400
    assert (await again.verify()).drifted == 0
    await again.close()
