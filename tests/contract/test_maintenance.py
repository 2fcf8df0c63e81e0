"""Verify, stats, forget and readiness."""

import asyncio

from likewise.likes import Likes
from likewise.model import Report
from likewise.store.contract import Store
from tests.ops import all_changes, everything, like, state_after, unlike


async def test_verify_finds_nothing_wrong_with_a_store_left_to_itself(store: Store) -> None:
    assert await store.verify() == Report(0, 0, 0, [], False)
    await store.apply([like(f"u{n % 9}", f"i{n % 31}", "post" if n % 2 else None, n * 1_000) for n in range(200)])
    await store.apply([unlike(f"u{n % 9}", f"i{n % 31}") for n in range(0, 200, 3)])
    await store.apply([unlike("u0", f"i{n}") for n in range(31)])
    likes = await everything(store, 100)
    items = len({row.item_id for row in likes})
    for repair in (False, True):
        assert await store.verify(repair) == Report(len(likes), items, 0, [], False)


async def test_verify_reports_no_false_drift_under_writes(likes: Likes) -> None:
    async def write() -> None:
        for n in range(40):
            await asyncio.gather(*(likes.like(f"u{user}", f"i{(n + user) % 6}") for user in range(8)))
            await asyncio.gather(*(likes.unlike(f"u{user}", f"i{(n * user) % 6}") for user in range(8)))

    writing = asyncio.ensure_future(write())
    while not writing.done():
        assert (await likes.verify(repair=True)).drifted == 0
        await asyncio.sleep(0)
    await writing
    assert (await likes.verify()).drifted == 0


async def test_stats_tell_how_many_likes_stand(store: Store) -> None:
    stats = await store.stats()
    assert (stats.likes, stats.oldest_change, stats.position.offset(0)) == (0, None, 0)
    await store.apply(
        [like("a", "x"), like("b", "x"), unlike("a", "x"), like("a", "x"), unlike("b", "x"), unlike("c", "x")]
    )
    stats = await store.stats()
    assert (stats.likes, stats.oldest_change, stats.position.offset(0)) == (1, 1, 5)


async def test_a_store_is_ready(store: Store) -> None:
    await store.ready()


async def test_forgetting_a_user_undoes_every_like_and_corrects_the_counts(likes: Likes) -> None:
    await likes.apply([like(user, f"i{n}") for user in ("gone", "stays") for n in range(30)])
    assert await likes.forget_user("gone") == 30
    assert [row async for row in likes.likes_of("gone")] == []
    assert {count.count for count in await likes.counts([f"i{n}" for n in range(30)])} == {1}
    assert len(await everything(likes.store, 100)) == (await likes.stats()).likes == 30
    assert len(state_after(await all_changes(likes.store))) == 30
    assert await likes.forget_user("gone") == 0
    assert (await likes.verify()).drifted == 0


async def test_forgetting_an_item_undoes_every_like_of_it(likes: Likes) -> None:
    await likes.apply([like(f"u{n}", item) for item in ("gone", "stays") for n in range(120)])
    assert await likes.forget_item("gone") == 120
    assert (await likes.count("gone")).count == 0
    assert (await likes.likers_page("gone")).items == []
    assert (await likes.count("stays")).count == (await likes.stats()).likes == 120
