"""Scans meet every like that stands throughout exactly once, in order of (user, item)."""

import pytest

from likewise.store.contract import Store
from tests.ops import everything, like, unlike


@pytest.mark.parametrize("limit", [1, 2, 7, 30, 1_000])
async def test_a_scan_in_parts_of_any_size_is_complete_and_in_order(store: Store, limit: int) -> None:
    await store.apply([like(f"u{n % 4}", f"i{n * 37 % 101}", "post") for n in range(60)])
    likes = await everything(store, limit)
    pairs = [(row.user_id, row.item_id) for row in likes]
    assert pairs == sorted({(f"u{n % 4}", f"i{n * 37 % 101}") for n in range(60)})
    assert {row.item_type for row in likes} == {"post"}
    assert [row.liked_at for row in likes] == await store.liked(pairs)


async def test_a_user_with_many_likes_spans_pages(store: Store) -> None:
    await store.apply([like("big", f"{n:04}") for n in range(500)] + [like("a", "1"), like("small", "1")])
    likes = await everything(store, 50)
    assert [row.user_id for row in likes] == ["a", *["big"] * 500, "small"]
    assert [row.item_id for row in likes[1:-1]] == [f"{n:04}" for n in range(500)]


async def test_a_scan_begins_behind_any_pair_whether_it_stands_or_not(store: Store) -> None:
    await store.apply([like(user, item) for user in "bdf" for item in "bdf"])
    assert [(row.user_id, row.item_id) for row in await store.scan(("b", "c"), 3)] == [
        ("b", "d"),
        ("b", "f"),
        ("d", "b"),
    ]
    assert [(row.user_id, row.item_id) for row in await store.scan(("c", "z"), 2)] == [("d", "b"), ("d", "d")]
    assert await store.scan(("f", "f"), 2) == []


async def test_likes_that_stand_throughout_are_met_once_while_others_come_and_go(store: Store) -> None:
    await store.apply([like("u", f"{n:02}") for n in range(0, 40, 2)])
    met = await store.scan(None, 5)
    while part := await store.scan((met[-1].user_id, met[-1].item_id), 5):
        met += part
        n = int(part[-1].item_id)
        await store.apply([like("u", f"{n - 3:02}"), unlike("u", f"{n:02}"), like("a", f"{n}")])
    assert [int(row.item_id) for row in met] == list(range(0, 40, 2))
