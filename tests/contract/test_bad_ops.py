"""A bad op is refused alone: it takes no place in the order, and its neighbours never notice."""

import asyncio
from typing import Any

import pytest

from likewise.errors import InvalidInput
from likewise.likes import Likes
from likewise.model import Op
from likewise.store.contract import Store
from tests.ops import all_changes, all_likes, like

BAD: list[Any] = [
    Op("", "i", True),
    Op("u", "\x00", True),
    Op("u", "i", True, ""),
    Op("u", "i", True, "x" * 65),
    Op("u", "i", True, None, -1),
    Op("u", "i", True, None, 253_402_300_800_000_000),
    Op("u", "i", True, None, 2**70),
    # Types are checked as well, because nothing else does in a library call.
    Op("u", "i", True, None, 1.5),  # type: ignore[arg-type]
    Op("u", "i", True, None, True),
    Op("u", "i", 1),  # type: ignore[arg-type]
    Op("u", "i", None),  # type: ignore[arg-type]
    Op("u", "i", "false"),  # type: ignore[arg-type]
    Op(5, "i", True),  # type: ignore[arg-type]
    Op("u", None, True),  # type: ignore[arg-type]
    Op("u", b"i", True),  # type: ignore[arg-type]
    Op("u", ["i"], True),  # type: ignore[arg-type]
    Op("u", "i", True, 5),  # type: ignore[arg-type]
    Op("u", "i", True, ["post"]),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("bad", BAD, ids=repr)
async def test_a_bad_op_is_refused_alone(store: Store, bad: Op) -> None:
    before, refused, after = await store.apply([like("u", "before"), bad, like("u", "after")])
    assert refused.error
    assert (refused.changed, refused.offset, refused.position, refused.count) == (None, None, None, None)
    assert (before.offset, after.offset) == (1, 2)
    assert [row.item_id for row in await all_likes(store, "u")] == ["after", "before"]
    assert len(await all_changes(store)) == 2


@pytest.mark.parametrize("bad", BAD, ids=repr)
async def test_the_error_says_which_field_is_wrong(likes: Likes, bad: Op) -> None:
    (outcome,) = await likes.apply([bad])
    assert outcome.error
    assert any(field in outcome.error for field in ("user_id", "item_id", "item_type", "liked_at", "liked"))
    if bad.liked is True:
        with pytest.raises(InvalidInput) as caught:
            await likes.like(bad.user_id, bad.item_id, item_type=bad.item_type, liked_at=bad.liked_at)
        assert caught.value.errors[0].pointer in outcome.error


async def test_a_batch_of_bad_ops_does_nothing(store: Store) -> None:
    outcomes = await store.apply(BAD)
    assert all(outcome.error for outcome in outcomes)
    assert (await store.stats()).position.offset(0) == 0
    assert (await store.stats()).likes == 0


async def test_a_bad_op_of_one_caller_does_not_disturb_the_others(likes: Likes) -> None:
    calls = [likes.like(f"u{n}", "i" if n % 3 else "bad\x00") for n in range(30)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, InvalidInput) for result in results] == [n % 3 == 0 for n in range(30)]
    assert (await likes.count("i")).count == 20
