"""Exactly once: what a batch does, in order, and the outcome that each of its ops is told."""

from likewise.model import Outcome
from likewise.store.contract import Store
from tests.clocks import NEW_YEAR, SECOND, SetClock
from tests.ops import all_changes, all_likers, all_likes, count_of, like, unlike


def told(outcome: Outcome) -> tuple[bool, bool | None, int | None, int | None]:
    return outcome.liked, outcome.changed, outcome.liked_at, outcome.count


async def test_liking_again_keeps_the_first_time_and_type(store: Store, clock: SetClock) -> None:
    (first,) = await store.apply([like("u", "i", "post")])
    clock.step(SECOND)
    for again in ([like("u", "i", "video", 7)], [like("u", "i"), like("u", "i", "video")]):
        for outcome in await store.apply(again):
            assert told(outcome) == (True, False, first.liked_at, 1)
            assert (outcome.version, outcome.offset) == (first.version, first.offset)
    (row,) = await all_likes(store, "u")
    assert (row.liked_at, row.item_type) == (NEW_YEAR, "post")
    assert len(await all_changes(store)) == 1


async def test_unliking_what_is_not_liked_changes_nothing(store: Store) -> None:
    outcomes = await store.apply([unlike("u", "i"), unlike("u", "i")])
    assert [told(outcome) for outcome in outcomes] == [(False, False, None, 0)] * 2
    assert await all_changes(store) == []
    assert (await store.stats()).likes == 0


async def test_like_and_unlike_leave_nothing_but_their_changes(store: Store) -> None:
    await store.apply([like("u", "i", "post")])
    (outcome,) = await store.apply([unlike("u", "i")])
    assert told(outcome) == (False, True, None, 0)
    assert await all_likes(store, "u") == await all_likers(store, "i") == await store.scan(None, 10) == []
    assert [(change.liked, change.item_type) for change in await all_changes(store)] == [
        (True, "post"),
        (False, "post"),
    ]


async def test_unlike_and_like_in_one_batch_are_two_changes_and_a_new_time(store: Store, clock: SetClock) -> None:
    await store.apply([like("u", "i", "post")])
    clock.step(SECOND)
    off, on = await store.apply([unlike("u", "i"), like("u", "i", "video")])
    assert told(off) == (False, True, None, 0)
    assert told(on) == (True, True, NEW_YEAR + SECOND + 1, 1)
    (row,) = await all_likes(store, "u")
    assert (row.liked_at, row.item_type) == (on.liked_at, "video")
    assert [row.liked_at for row in await all_likers(store, "i")] == [on.liked_at]
    assert [change.liked for change in await all_changes(store)] == [True, False, True]


async def test_liking_anew_with_the_same_time_leaves_one_like(store: Store) -> None:
    await store.apply([like("u", "i", "post", 5)])
    await store.apply([unlike("u", "i"), like("u", "i", "video", 5)])
    assert [(row.liked_at, row.item_type) for row in await all_likes(store, "u")] == [(5, "video")]
    assert [row.liked_at for row in await all_likers(store, "i")] == [5]
    assert await count_of(store, "i") == 1


async def test_a_client_may_date_its_like(store: Store) -> None:
    outcomes = await store.apply(
        [like("u", "a", None, 0), like("u", "b", None, 253_402_300_799_999_999), like("u", "c")]
    )
    assert [outcome.liked_at for outcome in outcomes] == [0, 253_402_300_799_999_999, NEW_YEAR + 2]
    assert [row.item_id for row in await all_likes(store, "u", 1)] == ["b", "c", "a"]
    changes = await all_changes(store)
    assert [change.at for change in changes] == [NEW_YEAR, NEW_YEAR + 1, NEW_YEAR + 2]
    assert [change.liked_at for change in changes] == [outcome.liked_at for outcome in outcomes]


async def test_the_ops_of_a_user_take_effect_in_order(store: Store) -> None:
    batch = [like("u", "i"), unlike("u", "i"), like("u", "i"), unlike("u", "i"), unlike("u", "i"), like("u", "i")]
    outcomes = await store.apply(batch)
    assert [outcome.changed for outcome in outcomes] == [True, True, True, True, False, True]
    assert [outcome.count for outcome in outcomes] == [1, 0, 1, 0, 0, 1]
    assert await count_of(store, "i") == 1
    outcomes = await store.apply([*batch, unlike("u", "i")])
    assert await count_of(store, "i") == 0
    assert await store.liked([("u", "i")]) == [None]


async def test_each_op_is_told_its_own_outcome(store: Store) -> None:
    await store.apply([like("a", "i")])
    outcomes = await store.apply([
        like("b", "i"), like("a", "i"), like("", "i"), like("c", "i"),
        unlike("a", "i"), unlike("x", "i"), like("a", "j"),
    ])  # fmt: skip
    assert [outcome.changed for outcome in outcomes] == [True, False, None, True, True, False, True]
    assert [outcome.count for outcome in outcomes] == [2, 2, None, 3, 2, 2, 1]
    assert [outcome.offset for outcome in outcomes] == [2, 2, None, 3, 4, 4, 5]
    assert [outcome.version for outcome in outcomes if outcome.error is None] == [2, 2, 3, 4, 4, 5]
    start = NEW_YEAR + 1
    assert [outcome.liked_at for outcome in outcomes] == [start, NEW_YEAR, None, start + 3, None, None, start + 6]
    assert [outcome.position is None for outcome in outcomes] == [False, False, True, False, False, False, False]


async def test_a_version_never_stands_for_two_counts(store: Store) -> None:
    seen: dict[int, int] = {}
    for batch in (
        [like("a", "i"), like("b", "i")], [unlike("a", "i"), like("a", "i")], [unlike("a", "i")], [like("b", "i")],
        [like("c", "i"), unlike("c", "i")],
    ):  # fmt: skip
        for outcome in await store.apply(batch):
            assert outcome.count is not None
            assert seen.setdefault(outcome.version, outcome.count) == outcome.count
    (count,) = await store.counts(["i"])
    assert (count.count, count.version) == (1, 7)


async def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert await store.apply([]) == []
    assert (await store.stats()).position.offset(0) == 0


async def test_a_hot_item_counts_every_user_once(store: Store) -> None:
    users = [f"u{n}" for n in range(500)]
    outcomes = await store.apply([like(user, "hot") for user in users * 2])
    assert [outcome.count for outcome in outcomes] == [*range(1, 501), *[500] * 500]
    assert len(await all_likers(store, "hot", 100)) == 500
