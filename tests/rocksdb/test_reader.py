"""Reading along: how stale, of which moment, and what is told of what others wrote."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from likewise import Likes
from likewise.errors import Closed, InvalidInput, Unavailable
from likewise.fold import NO_LIKES, Tally
from likewise.model import Count, Position
from likewise.store.contract import News
from likewise.store.rocksdb import RocksStore, Settings
from likewise.store.rocksdb.reader import FRESH_S, LOOKS_MAX, TOLD_MAX, RocksReader
from likewise.store.rocksdb.view import View
from tests.clocks import DAY, NEW_YEAR, SetClock
from tests.ops import count_of, like, unlike
from tests.rocksdb.pair import pair


class SetSeconds:
    """A monotonic clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@asynccontextmanager
async def still_pair(
    folder: Path, clock: SetClock, settings: Settings | None = None
) -> AsyncIterator[tuple[RocksStore, RocksReader, SetSeconds]]:
    """A pair for whose reader no time passes by itself."""
    seconds = SetSeconds()
    async with pair(folder, clock, seconds, settings) as (writer, reader):
        yield writer, reader, seconds


async def test_reads_are_of_one_moment_that_is_no_older_than_promised(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, seconds):
        await writer.apply([like("u", "i"), like("v", "i")])
        clock.step(7)
        seconds.pass_(FRESH_S * 0.9)
        assert await reader.counts(["i"]) == [Count("i", 0, 0, as_of=NEW_YEAR)]
        assert await reader.liked([("u", "i")]) == [None]
        assert (await reader.likers_of("i", 5)).items == []
        (summary,) = await reader.summaries(["i"], "u", None, 3)
        assert (summary.count, summary.liked, summary.shown) == (0, False, [])
        assert reader.refresh() == NEW_YEAR

        seconds.pass_(FRESH_S * 0.2)
        assert await reader.counts(["i"]) == [Count("i", 2, 2, as_of=NEW_YEAR + 7)]
        (summary,) = await reader.summaries(["i"], "u", None, 3)
        assert (summary.count, summary.liked, len(summary.shown)) == (2, True, 2)


async def test_a_position_is_reached_at_once(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, _):
        for n in range(1, 20):
            await writer.apply([like(f"u{n}", "i")])
            await reader.reach((await writer.stats()).position)
            assert await count_of(reader, "i") == n
        epoch = (await writer.stats()).position.epoch
        with pytest.raises(InvalidInput, match="has not given that position yet"):
            await reader.reach(Position(epoch, ((0, 20),)))
        with pytest.raises(InvalidInput, match="of another store"):
            await reader.reach(Position(epoch + 1, ((0, 1),)))


async def test_a_process_reads_what_it_wrote(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (_, reader, _):
        for n in range(1, 20):
            await reader.apply([like(f"u{n}", "i")])
            assert await count_of(reader, "i") == n


async def test_now_is_now(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, _):
        await writer.apply([like("u", "i")])
        clock.step(9)
        assert reader.refresh() == NEW_YEAR
        assert reader.refresh(now=True) == NEW_YEAR + 9
        assert await count_of(reader, "i") == 1


async def test_forgetting_a_user_misses_nothing_that_others_wrote_just_before(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, _):
        likes = Likes(reader, clock=clock)
        await writer.apply([like("u", f"i{n}") for n in range(150)])
        assert await likes.forget_user("u") == 150
        assert (await writer.stats()).likes == 0


async def test_a_position_is_reached_also_if_the_writer_has_put_it_into_files_since(
    folder: Path, clock: SetClock
) -> None:
    async with still_pair(folder, clock) as (writer, reader, _):
        await writer.apply([like("u", "i")])
        writer._database.points.flush()
        writer._database.lists.flush()
        await reader.reach((await writer.stats()).position)
        assert await count_of(reader, "i") == 1


async def test_a_backup_hides_nothing_that_was_written_just_before(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, _):
        await writer.apply([like("u", "i")])
        await writer.backup(folder / "copy")
        reader.refresh(now=True)
        assert await count_of(reader, "i") == 1


async def test_what_others_wrote_is_told_before_anyone_reads_it(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, _):
        told: list[News | None] = []
        assert reader.tell(told.append)
        await writer.apply([like("u", "i"), like("v", "i"), like("u", "j"), unlike("u", "j")])
        await writer.apply([unlike("v", "i")])
        reader.refresh(now=True)
        (news,) = told
        assert news is not None
        assert sorted(news.counts, key=lambda count: count.item_id) == [Count("i", 1, 5), Count("j", 0, 4)]
        assert news.likes == {"i": 2, "j": 1}
        reader.refresh(now=True)
        assert told[1:] == [([], {})]


async def test_counts_in_memory_and_trending_follow_what_others_write(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, seconds):
        likes = Likes(reader, clock=clock)
        await likes.like("me", "i")
        assert (await likes.count("i")).count == 1
        await writer.apply([like(f"u{n}", "i") for n in range(10)])
        clock.step(5)
        held = likes.cached_count("i")
        assert held is not None
        assert (held.count, held.as_of) == (1, NEW_YEAR)
        seconds.pass_(2 * FRESH_S)
        held = likes.cached_count("i")
        assert held is not None
        assert (held.count, held.exact, held.as_of) == (11, True, NEW_YEAR + 5)
        seconds.pass_(2 * FRESH_S)
        clock.step(5)
        (held,) = await likes.counts(["i"])
        assert held.as_of == NEW_YEAR + 10  # though it is in memory since before
        alone = Likes(writer, clock=clock)
        alone.hot.add("i", 11)
        ((_, there),) = alone.trending()
        assert likes.trending() == [("i", pytest.approx(there, rel=0.01))]  # the reader's own like counts once


async def test_what_another_process_commits_is_not_counted_twice(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (_, reader, _):
        likes = Likes(reader, clock=clock)
        await likes.apply([like("u", "i"), like("u", "i"), unlike("u", "i"), like("", "i")])
        measures = likes.measures
        assert (measures.likes, measures.unlikes, measures.unchanged, measures.commit_ops.total) == (0, 0, 0, 0)
        assert measures.refused == 1  # it went no further


@pytest.mark.parametrize("why", ["too many changes", "changes no longer kept"])
async def test_where_more_changed_than_can_be_told_memory_is_given_up(
    folder: Path, clock: SetClock, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with still_pair(folder, clock, Settings(memory_mb=16, changes_kept_days=1)) as (writer, reader, seconds):
        likes = Likes(reader, clock=clock)
        await writer.apply([like("u", "i")])
        await likes.reach((await writer.stats()).position)
        assert (await likes.count("i")).count == 1
        await writer.apply([like(f"u{n}", "i") for n in range(10)])
        if why == "too many changes":
            monkeypatch.setattr("likewise.store.rocksdb.reader.TOLD_MAX", 9)
        else:
            clock.step(2 * DAY)
            assert await writer.expire() == 10
        seconds.pass_(2 * FRESH_S)
        assert (await likes.count("i")).count == 11
        await writer.apply([like("v", "i")])
        seconds.pass_(2 * FRESH_S)
        assert (await likes.count("i")).count == 12


@contextmanager
def views_not_whole(reader: RocksReader, n: int) -> Iterator[list[int]]:
    """As if the next `n` catch-ups met the primary between a file and its WAL: the changes are there, the counts are
    not. Gives a list with an entry for each catch-up."""
    looks: list[int] = []
    catch_up, tally = reader._database.catch_up, View.tally

    def counted() -> None:
        looks.append(1)
        catch_up()

    def old(view: View, item_id: str) -> Tally:
        return NO_LIKES if len(looks) <= n else tally(view, item_id)

    with patch.object(reader._database, "catch_up", counted), patch.object(View, "tally", old):
        yield looks


near_and_far = pytest.mark.parametrize("told_max", [TOLD_MAX, 1], ids=["near", "too far behind"])


@near_and_far
async def test_a_view_that_is_not_whole_is_made_anew(
    folder: Path, clock: SetClock, told_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.store.rocksdb.reader.TOLD_MAX", told_max)
    async with still_pair(folder, clock) as (writer, reader, _):
        await writer.apply([like("u", "i"), like("v", "i")])
        with views_not_whole(reader, 1) as looks:
            reader.refresh(now=True)
        assert len(looks) == 2


@near_and_far
async def test_what_was_read_while_no_view_was_whole_does_not_stay(
    folder: Path, clock: SetClock, told_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.store.rocksdb.reader.TOLD_MAX", told_max)
    async with still_pair(folder, clock) as (writer, reader, seconds):
        likes = Likes(reader, clock=clock)
        await writer.apply([like("u", "i"), like("v", "i")])
        position = (await writer.stats()).position
        clock.step(5)
        with views_not_whole(reader, LOOKS_MAX * 4) as looks:
            assert reader.refresh(now=True) == NEW_YEAR
            assert await likes.count("i") == Count("i", 0, 0, as_of=NEW_YEAR)
            assert len(looks) == LOOKS_MAX
            with pytest.raises(Unavailable, match="does not see that position yet"):
                await likes.reach(position)
        seconds.pass_(2 * FRESH_S)
        assert await likes.count("i") == Count("i", 2, 2, as_of=NEW_YEAR + 5)
        await likes.reach(position)


async def test_an_idle_reader_keeps_up(folder: Path, clock: SetClock) -> None:
    async with pair(folder, clock) as (writer, reader):
        told = asyncio.Event()
        reader.tell(lambda news: told.set() if news and news.counts else None)
        await writer.apply([like("u", "i")])
        await asyncio.wait_for(told.wait(), 10)


async def test_files_that_the_writer_makes_and_drops_are_followed(folder: Path, clock: SetClock) -> None:
    async with still_pair(folder, clock) as (writer, reader, _):
        likes = Likes(reader, clock=clock)
        for n in range(40):
            await writer.apply([like(f"u{n}-{k}", f"i{k % 7}") for k in range(50)])
            if n % 3 == 0:
                writer._database.flush()
            if n % 10 == 0:
                writer._database.points.compact_range(None, None)
            await likes.reach((await writer.stats()).position)
            counts = await likes.counts([f"i{k}" for k in range(7)])
            assert [count.count for count in counts] == [
                count.count for count in await writer.counts([f"i{k}" for k in range(7)])
            ]


async def test_without_the_writer_reads_go_on_and_writes_say_so(folder: Path, clock: SetClock) -> None:
    async with pair(folder, clock) as (_, reader):
        await reader.apply([like("u", "i")])
        await reader._link.close()
        assert await count_of(reader, "i") == 1
        for call in (lambda: reader.apply([like("v", "i")]), reader.ready, reader.stats):
            with pytest.raises(Unavailable):
                await call()


async def test_what_only_the_writer_can_do_is_refused(folder: Path, clock: SetClock) -> None:
    async with pair(folder, clock) as (_, reader):
        for call in (reader.verify, reader.begin_epoch):
            with pytest.raises(Unavailable):
                await call()


async def test_after_close_calls_raise_closed(folder: Path, clock: SetClock) -> None:
    async with pair(folder, clock) as (_, reader):
        await reader.close()
        for call in (lambda: reader.counts(["i"]), lambda: reader.apply([like("u", "i")]), reader.stats):
            with pytest.raises(Closed):
                await call()
        with pytest.raises(Closed):
            reader.refresh()


async def test_a_backup_asked_of_a_reader_is_made_by_the_writer(folder: Path, clock: SetClock) -> None:
    async with pair(folder, clock) as (_, reader):
        await reader.apply([like("u", "i")])
        await reader.backup(folder / "copy")
        copy = await RocksStore.open(folder / "copy")
        assert await count_of(copy, "i") == 1
        await copy.close()
