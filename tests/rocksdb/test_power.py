"""The power goes during a commit: of what it wrote, any pages are on the disk, and of what was answered, all are."""

import logging
import shutil
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from likewise.errors import NotAStore
from likewise.store import open_store
from likewise.store.rocksdb import RocksStore, wal
from likewise.store.rocksdb.database import SyncFailed
from likewise.store.rocksdb.wal import BATCH, BLOCK_BYTES, HEADER, mend
from tests.ops import like
from tests.rocksdb.test_wal import batches, found_with, records

PAGE_BYTES = 4_096

Likes = set[tuple[str, str]]


class Commit(NamedTuple):
    """A store's last commit, which nobody was answered, and its log before and after."""

    log: Path
    durable: bytes
    written: bytes
    answered: Likes
    asked: Likes

    async def problem_after(self, image: bytes) -> str | None:
        """What is wrong with a store that finds this log."""
        found = await found_with(self.log, image)
        if found == self.answered or (image.rstrip(b"\0") == self.written.rstrip(b"\0") and found == self.asked):
            return None
        return str(found) if isinstance(found, NotAStore) else f"{len(found)} likes"


async def committed(store: RocksStore, path: Path, answered: list[int], last: int, long: int = 0) -> Commit:
    """Commit batches of these sizes, and one more; ids are at least `long` characters."""
    likes: Likes = set()
    for n, size in enumerate(answered):
        likes |= await write(store, f"u{n}-", size, long)
    (log,) = path.glob("*.log")
    durable = log.read_bytes()
    asked = likes | await write(store, "v", last, long)
    left = path.with_name("left")
    shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(path, left)
    return Commit(left / log.name, durable, log.read_bytes(), likes, asked)


async def write(store: RocksStore, prefix: str, size: int, long: int) -> Likes:
    likes = [(f"{prefix}{k}".ljust(long, "x"), f"i{k % 7}".ljust(long, "y")) for k in range(size)]
    await store.apply([like(*pair) for pair in likes])
    return set(likes)


def without_pages(commit: Commit, missing: set[int]) -> bytes:
    """The log when these pages did not reach the disk: each as it was before, or zeros where it was not there."""
    was = commit.durable.ljust(len(commit.written), b"\0")
    pages = [
        (was if page in missing else commit.written)[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
        for page in range(-(-len(commit.written) // PAGE_BYTES))
    ]
    return b"".join(pages)


def images(commit: Commit, rounds: int, random: Random) -> list[bytes]:
    """Pages missing alone, and there alone, and any of them: with the file's size as it was, longer, or less."""
    pages = range(len(commit.durable) // PAGE_BYTES, -(-len(commit.written) // PAGE_BYTES))
    subsets = [{page} for page in random.sample(pages, min(rounds, len(pages)))]
    subsets += [set(pages) - subset for subset in subsets]
    subsets += [{page for page in pages if random.random() < 0.5} for _ in range(rounds)]
    found = [without_pages(commit, subset) for subset in subsets]
    found += [image + bytes(100_000) for image in found[: rounds // 2]]
    return found + [image[: random.randint(len(commit.durable), len(image))] for image in found[:rounds]]


@pytest.mark.parametrize("rounds", [2, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("last", "long"),
    [(1, 0), (10, 0), (30, 250), (150, 0), (1_000, 0), pytest.param(1_000, 200, marks=pytest.mark.slow)],
)
async def test_whatever_pages_of_the_last_commit_are_missing_all_that_was_answered_is_there(
    store: RocksStore, path: Path, last: int, long: int, rounds: int
) -> None:
    random = Random(last + long)
    answered = [random.choice([1, 3, 40, 200]) for _ in range(9)]
    commit = await committed(store, path, answered, last, long)
    for n, image in enumerate(images(commit, rounds, random)):
        assert await commit.problem_after(image) is None, f"image {n}"


@pytest.mark.parametrize("before", [2, 6, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3, 4, 5))])
async def test_a_header_of_which_only_one_half_is_on_disk(store: RocksStore, path: Path, before: int) -> None:
    """Its length may be wrong then, and its type right."""
    await write(store, "w", 20, 0)
    (log,) = path.glob("*.log")
    size = log.stat().st_size
    await store.remember("pad", bytes(300))
    overhead = log.stat().st_size - size - 300
    pad = -(log.stat().st_size + overhead + 300 + before) % PAGE_BYTES + 300
    await store.remember("pad", bytes(pad))
    assert -log.stat().st_size % PAGE_BYTES == before
    assert -log.stat().st_size % BLOCK_BYTES > HEADER.size
    commit = await committed(store, path, [], 80)
    commit = commit._replace(answered=commit.answered | {(f"w{k}", f"i{k % 7}") for k in range(20)})
    page = len(commit.durable) // PAGE_BYTES
    pages = set(range(page, len(commit.written) // PAGE_BYTES + 1))
    assert len(pages) >= 3
    assert commit.written[len(commit.durable) + HEADER.size - 1] == wal.FULL
    for missing in ({page}, pages - {page}, {page, max(pages)}, {page + 1}, pages - {page + 1}):
        assert await commit.problem_after(without_pages(commit, missing)) is None, f"without {missing}"


async def test_a_wrong_byte_anywhere_in_the_last_commit_is_taken_for_torn(store: RocksStore, path: Path) -> None:
    commit = await committed(store, path, [3, 1, 40], 1)
    for at in range(len(commit.durable), len(commit.written), 5):
        image = bytearray(commit.written)
        image[at] ^= 0x41
        found = await found_with(commit.log, bytes(image))
        assert found == commit.answered, f"at {at - len(commit.durable)}: {found}"


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.slow)])
async def test_damage_before_the_last_durable_byte_is_refused_also_beside_a_torn_tail(
    store: RocksStore, path: Path, rounds: int
) -> None:
    """And however often it is tried: what was answered never becomes the tail."""
    commit = await committed(store, path, [30, 1, 300, 1, 1, 200, 9], 150)
    random = Random(3)
    contents = [
        at + HEADER.size + BATCH.size for at, _, kind in records(commit.durable) if kind in (wal.FULL, wal.FIRST)
    ]
    for n in range(rounds):
        torn = commit.written
        while torn[len(commit.durable) :] in (commit.written[len(commit.durable) :], b""):
            torn = random.choice(images(commit, 3, random))
        if not torn[len(commit.durable) :].strip(b"\0"):
            continue  # of that commit nothing is there: it is the one before that is the last, and taken for torn
        at = random.choice(contents)
        damaged = bytearray(torn)
        damaged[at] ^= 0x10
        place = path.with_name(f"again-{n}")
        shutil.copytree(commit.log.parent, place)
        (place / commit.log.name).write_bytes(damaged)
        for _ in range(3):
            with pytest.raises(NotAStore, match=r"is damaged.*Bring back a backup"):
                await open_store(f"rocksdb:{place}?memory_mb=16")
        assert (place / commit.log.name).read_bytes() == damaged
        shutil.rmtree(place)


async def test_what_is_cut_off_is_kept_and_said(
    store: RocksStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commit = await committed(store, path, [3, 1], 150)
    start = batches(commit.written)[-1]
    assert start == len(commit.durable)
    image = bytearray(commit.written)
    image[start + 30] ^= 1
    commit.log.write_bytes(image)
    with caplog.at_level(logging.WARNING):
        again = await open_store(f"rocksdb:{commit.log.parent}")
    assert "nobody was answered" in caplog.text
    await again.apply([like("later", "i")])
    assert (await again.stats()).likes == 5
    assert (await again.stats()).position.offset(0) == 5
    await again.close()
    kept = commit.log.with_name(f"{commit.log.name}.torn-at-{start}")
    assert kept.read_bytes() == image[start:]
    again = await open_store(f"rocksdb:{commit.log.parent}")
    assert (await again.stats()).likes == 5
    await again.close()
    assert len(list(commit.log.parent.glob("*.torn-at-*"))) == 1


async def test_the_last_commit_may_be_in_the_log_before_an_empty_one(store: RocksStore, path: Path) -> None:
    """A backup flushes, which begins a new log, also between a write and its sync."""
    commit = await committed(store, path, [3, 1], 150)
    image = bytearray(commit.written)
    image[len(commit.durable) + 30] ^= 1
    newer = commit.log.with_name(f"{int(commit.log.stem) + 50:06}.log")
    for empty in (b"", bytes(9_000)):
        newer.write_bytes(empty)
        assert await commit.problem_after(bytes(image)) is None
    (path.with_name("left") / commit.log.name).write_bytes(image)
    newer.write_bytes(commit.written[:200])
    assert not mend(commit.log.parent), "what was written to a later log was written after the sync"
    with pytest.raises(NotAStore):
        await open_store(f"rocksdb:{commit.log.parent}")
    assert commit.log.read_bytes() == image


async def test_a_flush_between_a_write_and_its_sync(
    store: RocksStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RocksDB then begins a new log; what it holds of the old one is in no file yet, or durable."""
    await write(store, "u", 40, 0)
    left = path.with_name("left")

    def sync() -> None:
        store._database.flush()
        shutil.copytree(path, left)
        raise SyncFailed("the power goes")

    monkeypatch.setattr(store._database, "sync", sync)
    with pytest.raises(Exception, match="after a restart"):
        await write(store, "v", 150, 0)
    again = await open_store(f"rocksdb:{left}")
    assert (await again.stats()).likes in (40, 190)
    assert (await again.verify()).drifted == 0
    await again.close()
