"""What a crash leaves of the write-ahead log: a torn tail is dropped, and damage before it is refused."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from likewise.errors import NotAStore
from likewise.store import open_store
from likewise.store.rocksdb import RocksStore, wal
from likewise.store.rocksdb.wal import BATCH, BLOCK_BYTES, HEADER, check_logs, damage_in
from tests.ops import all_changes, everything, like, state_after, unlike

Batches = list[set[tuple[str, str]]]


async def crashed(store: RocksStore, path: Path, sizes: list[int]) -> tuple[Path, Batches]:
    """What a process leaves that dies after batches of these sizes: its log, and what stood after 0, 1, … of them."""
    stood: Batches = [set()]
    for n, size in enumerate(sizes):
        ops = [like(f"u{n}-{k}", f"i{k % 7}") for k in range(size)] + [unlike(f"u{n - 1}-0", "i0")]
        await store.apply(ops)
        stood.append(stood[-1] - {(f"u{n - 1}-0", "i0")} | {(op.user_id, op.item_id) for op in ops[:-1]})
    left = path.with_name("left")
    shutil.copytree(path, left)
    (log,) = left.glob("*.log")
    return log, stood


def records(log: bytes) -> Iterator[tuple[int, int, int]]:
    """(offset, length with its header, type) of each record."""
    at = 0
    while at + HEADER.size <= len(log):
        room = BLOCK_BYTES - at % BLOCK_BYTES
        if room < HEADER.size:
            at += room
            continue
        _, length, kind = HEADER.unpack_from(log, at)
        yield at, HEADER.size + length, kind
        at += HEADER.size + length


def batches(log: bytes) -> list[int]:
    """Where each batch begins, but for the first one, which notes the epoch."""
    return [at for at, _, kind in records(log) if kind in (wal.FULL, wal.FIRST)][1:]


async def found_with(log: Path, content: bytes) -> set[tuple[str, str]] | NotAStore:
    """What a process finds that opens the store with this log: likes, or that it is damaged."""
    place = log.parent.with_name("found")
    shutil.copytree(log.parent, place)
    (place / log.name).write_bytes(content)
    try:
        store = await open_store(f"rocksdb:{place}?memory_mb=16")
    except NotAStore as error:
        return error
    else:
        likes = {(row.user_id, row.item_id) for row in await everything(store, 1_000)}
        assert state_after(await all_changes(store, None, 1_000)).keys() == likes
        assert (await store.verify()).drifted == 0
        await store.close()
        return likes
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("places", [3, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_a_torn_tail_is_dropped_and_everything_before_it_stands(
    store: RocksStore, path: Path, places: int
) -> None:
    log, stood = await crashed(store, path, [3, 1, 2])
    content = log.read_bytes()
    last = batches(content)[-1]
    torn = range(last, len(content))
    for end in sorted({last, last + 1, last + HEADER.size, len(content) - 1, *torn[:: max(1, len(torn) // places)]}):
        assert await found_with(log, content[:end]) == stood[-2], f"cut at {end}, {len(content) - end} bytes short"
    assert await found_with(log, content) == stood[-1]


@pytest.mark.parametrize("places", [5, pytest.param(100, marks=pytest.mark.slow)])
async def test_a_log_cut_anywhere_is_a_number_of_whole_batches(store: RocksStore, path: Path, places: int) -> None:
    """Also where a batch spans blocks, and its first part is whole."""
    log, stood = await crashed(store, path, [200, 1, 900, 300, 2])
    content = log.read_bytes()
    starts = batches(content)
    assert any(kind == wal.MIDDLE for _, _, kind in records(content))
    for end in range(starts[0], len(content), len(content) // places):
        whole = sum(start <= end for start in [*starts, len(content)]) - 1
        assert await found_with(log, content[:end]) == stood[whole]


async def test_a_tail_of_zeros_is_a_torn_tail(store: RocksStore, path: Path) -> None:
    """As file systems leave it that had made room, and not yet filled it."""
    log, stood = await crashed(store, path, [3, 1, 2])
    content = log.read_bytes()
    last = batches(content)[-1]
    assert await found_with(log, content + bytes(5_000)) == stood[-1]
    assert await found_with(log, content[:last] + bytes(len(content) - last)) == stood[-2]
    assert await found_with(log, content[:last] + bytes(100_000)) == stood[-2]


DAMAGES = {
    "a bit of the checksum": (0, b"\x55"),
    "a length behind the end": (4, b"\xff\x7f"),
    "a length a little wrong": (4, b"\x33"),
    "no header": (0, bytes(HEADER.size)),
    "no type": (6, b"\x00"),
    "a type unknown": (6, b"\x4d"),
    "a recycled type, at which RocksDB searches for ever": (6, b"\x05"),
    "a hole": (0, bytes(4_096)),
    "a page of something else": (0, b"\xa5" * 4_096),
    "content": (HEADER.size + BATCH.size + 3, b"\x99"),
}


@pytest.mark.parametrize("what", DAMAGES)
async def test_damage_before_the_last_batch_is_refused(store: RocksStore, path: Path, what: str) -> None:
    log, _ = await crashed(store, path, [30, 1, 40, 1, 1, 200, 1, 1])
    content = log.read_bytes()
    behind, wrong = DAMAGES[what]
    starts = batches(content)
    for start in (starts[0], starts[2], starts[4]):
        at = start + behind
        assert at + len(wrong) <= starts[-1]
        damaged = content[:at] + wrong + content[at + len(wrong) :]
        assert damaged != content
        for _ in range(2):
            found = await found_with(log, damaged)
            assert isinstance(found, NotAStore), f"{what} at {at}"
            assert re.search("is damaged.*Bring back a backup", str(found))


@pytest.mark.slow
async def test_whatever_is_damaged_before_the_last_batch_nothing_answered_is_dropped(
    store: RocksStore, path: Path
) -> None:
    log, _ = await crashed(store, path, [30, 1, 300, 1, 1, 200, 1, 1])
    content = log.read_bytes()
    last = batches(content)[-1]
    random = Random(7)
    for n in range(300):
        at = random.randrange(last)
        wrong = random.choice([bytes, random.randbytes])(min(random.choice([1, 2, 64, 4_096, 40_000]), last - at))
        damaged = content[:at] + wrong + content[at + len(wrong) :]
        if damaged != content:
            assert isinstance(await found_with(log, damaged), NotAStore), f"round {n}: {len(wrong)} bytes at {at}"


async def test_a_refused_log_is_left_as_it_was(store: RocksStore, path: Path, url: str) -> None:
    log, stood = await crashed(store, path, [3, 1, 2])
    content = log.read_bytes()
    start = batches(content)[0]
    log.write_bytes(content[:start] + bytes(HEADER.size) + content[start + HEADER.size :])
    before = {file: file.read_bytes() for file in log.parent.iterdir() if file.name != "likewise.lock"}
    with pytest.raises(NotAStore, match=f"{log.name} is damaged at byte {start}"):
        await open_store(f"rocksdb:{log.parent}")
    assert {file: file.read_bytes() for file in log.parent.iterdir() if file.name != "likewise.lock"} == before
    assert await found_with(log, content) == stood[-1], "and if it can be mended, all is there"


async def test_no_log_of_ours_is_taken_for_damaged_wherever_it_ends(store: RocksStore, path: Path) -> None:
    """Likes may hold whatever looks like the beginning of a record."""
    for n in range(60):
        await store.apply([like(f"u{n}-{k}", f"i{k}", None, k) for k in range(n * 23 % 400 + 1)])
    await store.remember("hot", b"\x01" + bytes(20) + b"\x02" + (7).to_bytes(8, "little") * 500)
    await store.apply([like("u", "i")])
    (log,) = path.glob("*.log")
    check_logs(path)
    content = log.read_bytes()
    assert {kind for _, _, kind in records(content)} == {wal.FULL, wal.FIRST, wal.MIDDLE, wal.LAST}
    step = 5_003
    assert [end for end in range(0, len(content), step) if damage_in(content[:end]) is not None] == []
