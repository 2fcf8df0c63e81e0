"""Lists are newest first, and pages of them stable: whatever happens meanwhile, each like is met exactly once."""

import pytest

from likewise.errors import InvalidInput
from likewise.likes import Likes
from likewise.model import Keyset
from likewise.store.contract import Store
from tests.ops import all_likers, all_likes, like, unlike


async def test_lists_are_newest_first(store: Store) -> None:
    await store.apply([like("u", f"i{n}") for n in range(20)])
    await store.apply([like(f"u{n}", "i") for n in range(20)])
    assert [row.item_id for row in await all_likes(store, "u")] == [f"i{n}" for n in reversed(range(20))]
    assert [row.user_id for row in await all_likers(store, "i")] == [f"u{n}" for n in reversed(range(20))]


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11, 100])
async def test_pages_of_any_size_hold_every_like_once(store: Store, limit: int) -> None:
    await store.apply([like("u", f"i{n}", None, n // 3) for n in range(10)])
    await store.apply([like(f"u{n}", "i", None, n // 3) for n in range(10)])
    by_time = sorted(range(10), key=lambda n: (-(n // 3), n))
    assert [row.item_id for row in await all_likes(store, "u", limit)] == [f"i{n}" for n in by_time]
    assert [row.user_id for row in await all_likers(store, "i", limit)] == [f"u{n}" for n in by_time]


async def test_a_page_says_whether_more_follow(store: Store) -> None:
    await store.apply([like("u", f"i{n}") for n in range(4)])
    first = await store.likes_of("u", 2)
    assert first.has_more
    second = await store.likes_of("u", 2, Keyset.parse(first.next_cursor or ""))
    assert not second.has_more
    assert second.next_cursor is None
    assert not (await store.likes_of("u", 4)).has_more
    assert (await store.likes_of("nobody", 4)).items == (await store.likers_of("nothing", 4)).items == []


async def test_a_like_made_meanwhile_moves_no_other_to_another_page(store: Store) -> None:
    await store.apply([like("u", f"i{n}") for n in range(6)])
    first = await store.likes_of("u", 3)
    await store.apply([like("u", "new"), like("u", "newer"), unlike("u", "i4"), unlike("u", "i3")])
    second = await store.likes_of("u", 3, Keyset.parse(first.next_cursor or ""))
    assert [row.item_id for row in first.items + second.items] == [f"i{n}" for n in reversed(range(6))]


async def test_every_like_that_stands_throughout_is_met_once_while_others_come_and_go(store: Store) -> None:
    standing = [f"stands{n}" for n in range(12)]
    passing = [f"passes{n}" for n in range(12)]
    await store.apply([like(user, "i") for pair in zip(standing, passing, strict=True) for user in pair])
    met: list[str] = []
    page = await store.likers_of("i", 2)
    for round_ in range(100):
        met += [row.user_id for row in page.items]
        if page.next_cursor is None:
            break
        toggled = passing[round_ % 12]
        on = (await store.liked([(toggled, "i")]))[0] is not None
        await store.apply([unlike(toggled, "i") if on else like(toggled, "i"), like(f"new{round_}", "i")])
        page = await store.likers_of("i", 2, Keyset.parse(page.next_cursor))
    assert [user for user in met if user in standing] == standing[::-1]
    assert len(met) == len(set(met))


async def test_a_cursor_outlives_the_like_it_was_made_from(store: Store) -> None:
    await store.apply([like("u", f"i{n}") for n in range(4)])
    page = await store.likes_of("u", 2)
    await store.apply([unlike("u", "i2"), unlike("u", "i1")])
    rest = await store.likes_of("u", 2, Keyset.parse(page.next_cursor or ""))
    assert [row.item_id for row in rest.items] == ["i0"]


async def test_a_list_may_be_of_one_type(store: Store) -> None:
    await store.apply([like("u", f"i{n}", ["post", "video", None][n % 3]) for n in range(30)])
    posts = [f"i{n}" for n in reversed(range(30)) if n % 3 == 0]
    for limit in (1, 4, 10, 11):
        assert [row.item_id for row in await all_likes(store, "u", limit, "post")] == posts
    assert {row.item_type for row in await all_likes(store, "u", 4, "post")} == {"post"}
    assert await all_likes(store, "u", 4, "photo") == []


async def test_likers_may_be_among_some_users(store: Store) -> None:
    await store.apply([like(f"u{n}", "i", "post", n // 2) for n in range(10)] + [like("friend", "j")])
    friends = ["u3", "u9", "nobody", "friend", "u3", "u2", "u8"]
    for limit in (1, 2, 100):
        assert [row.user_id for row in await all_likers(store, "i", limit, friends)] == ["u8", "u9", "u2", "u3"]
    assert await all_likers(store, "i", 5, []) == []


async def test_likers_carry_no_type(store: Store) -> None:
    await store.apply([like("u", "i", "post")])
    assert [row.item_type for row in await all_likers(store, "i") + await all_likers(store, "i", 5, ["u"])] == [
        None,
        None,
    ]


async def test_lists_of_likes_in_the_year_1970_and_9999_page_as_well(store: Store) -> None:
    times = [0, 1, 253_402_300_799_999_998, 253_402_300_799_999_999]
    await store.apply([like("u", f"i{n}", None, at) for n, at in enumerate(times)])
    assert [row.liked_at for row in await all_likes(store, "u", 1)] == times[::-1]


async def test_the_rules_page_with_opaque_cursors(likes: Likes) -> None:
    for n in range(5):
        await likes.like("u:é.1", f"i.{n}é", item_type="post")
        await likes.like(f"u.{n}😀", "i")
    page = await likes.likes_page("u:é.1", limit=3)
    rest = await likes.likes_page("u:é.1", limit=3, cursor=page.next_cursor)
    assert [row.item_id for row in page.items + rest.items] == [f"i.{n}é" for n in reversed(range(5))]
    likers = await likes.likers_page("i", limit=3)
    more = await likes.likers_page("i", limit=3, cursor=likers.next_cursor)
    assert [row.user_id for row in likers.items + more.items] == [f"u.{n}😀" for n in reversed(range(5))]
    assert [row.item_id async for row in likes.likes_of("u:é.1", item_type="post")] == [
        f"i.{n}é" for n in reversed(range(5))
    ]
    assert [row.user_id async for row in likes.likers_of("i")] == [f"u.{n}😀" for n in reversed(range(5))]


@pytest.mark.parametrize(
    "cursor", ["", "x", "====", "é", "MTIz", "LTEuYQ", "MS5h=", "MS5h\n", " MS5h", "MDEuYQ", "99.a"]
)
async def test_a_cursor_that_no_answer_gave_is_refused(likes: Likes, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        await likes.likes_page("u", cursor=cursor)
    with pytest.raises(InvalidInput):
        await likes.likers_page("i", cursor=cursor)


async def test_limits_outside_1_to_100_are_refused(likes: Likes) -> None:
    for limit in (0, -1, 101):
        with pytest.raises(InvalidInput):
            await likes.likes_page("u", limit=limit)
        with pytest.raises(InvalidInput):
            await likes.likers_page("i", limit=limit)
    with pytest.raises(InvalidInput):
        await likes.likers_page("i", among=[f"u{n}" for n in range(101)])
