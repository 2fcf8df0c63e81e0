"""Ids come back as given, and two ids are one only if their bytes are."""

import pytest

from likewise.errors import InvalidInput
from likewise.likes import Likes
from likewise.store.contract import Store
from tests.ops import all_likers, all_likes, everything, like, unlike

DISTINCT = [
    "a", "A", "a ", " a", "a\u00a0", "ß", "ss", "SS", "i", "I", "ı", "İ",
    "\u00e9", "e\u0301", "\u212b", "\u00c5", "A\u030a",  # é and Å, composed, decomposed, and a compatibility sign
    "ﬁ", "fi", "Ａ", "а",  # a ligature, a full-width letter, a Cyrillic look-alike
    "1", "01", "1.0", "1e0", "+1", "0", "-0", "null", "NULL", "true", "[]", "{}", "{}:*", "*", "%", "_", "?", "??",
    "'", "''", '"', '""', "`", "\\", "\\\\", "\\'", "\\u0041", "'; drop table likes; --", "a' or '1'='1", "$1", ":1",
    "a/b", "a%2Fb", "a%2fb", "/", "//", ".", "..", "../a", "./a", "a?b", "a#b", "a&b=c", "a+b", "a b", "a%20b",
    "a:b", "a::b", "post:42", "post:42#fire", "a,b", "a;b", "a|b", "a\u2028b", "a\u200bb", "\u200b", "\ufeffa",
    "\ufeff",
    "😀", "👩‍👩‍👧", "👩👩👧", "🇩🇪", "\U0010ffff", "\uffff", "\ufdd0", "\ue000", "ا", "\u202eabc", "𝒂",
]  # fmt: skip

BYTEWISE = ["A", "Z", "a", "~", "é", "߿", "ࠀ", "퟿", "\ue000", "\uffff", "\U00010000", "😀", "\U0010ffff"]
"""In order of their UTF-8. UTF-16 would put the last three before U+E000, and a locale would put "a" before "Z"."""

BAD = [
    "", "a\x00b", "\x00", "a\nb", "a\rb", "\t", "\x1f", "\x7f", "\x80", "\x9f", "\ud800", "a\udfff", "\ufffd",
    "x" * 257, "é" * 128 + "x", "😀" * 64 + "x",
]  # fmt: skip

LONGEST = ["x" * 256, "é" * 128, "ࠀ" * 85 + "x", "😀" * 64]


async def test_ids_that_differ_in_any_byte_are_different_items(store: Store) -> None:
    assert len(set(DISTINCT)) == len(DISTINCT)
    outcomes = await store.apply([like("u", item) for item in DISTINCT])
    assert [(outcome.changed, outcome.count) for outcome in outcomes] == [(True, 1)] * len(DISTINCT)
    assert [count.count for count in await store.counts(DISTINCT)] == [1] * len(DISTINCT)
    assert [row.item_id for row in await all_likes(store, "u")] == DISTINCT[::-1]
    for item in DISTINCT:
        assert [row.item_id for row in await all_likers(store, item)] == [item]


async def test_ids_that_differ_in_any_byte_are_different_users(store: Store) -> None:
    await store.apply([like(user, "i") for user in DISTINCT])
    assert (await store.counts(["i"]))[0].count == len(DISTINCT)
    assert [row.user_id for row in await all_likers(store, "i")] == DISTINCT[::-1]
    outcomes = await store.apply([unlike(user, "i") for user in DISTINCT[::2]])
    assert all(outcome.changed for outcome in outcomes)
    left = DISTINCT[1::2]
    assert [row.user_id for row in await all_likers(store, "i")] == left[::-1]
    assert [at is not None for at in await store.liked([(user, "i") for user in DISTINCT])] == [
        user in left for user in DISTINCT
    ]


async def test_ids_come_back_from_every_read_as_they_were_given(store: Store) -> None:
    await store.apply([like(id_, id_, id_) for id_ in DISTINCT if len(id_.encode()) <= 64])
    for id_ in DISTINCT:
        (summary,) = await store.summaries([id_], id_, [id_], 3)
        assert (summary.item_id, summary.liked, [row.user_id for row in summary.shown]) == (id_, True, [id_])
        (row,) = (await store.likes_of(id_, 10, None, id_)).items
        assert (row.user_id, row.item_id, row.item_type) == (id_, id_, id_)
    changes = (await store.changes(None, 1_000)).items
    assert [(change.user_id, change.item_id, change.item_type) for change in changes] == [(i, i, i) for i in DISTINCT]


async def test_scan_is_in_the_order_of_utf8_bytes(store: Store) -> None:
    assert sorted(BYTEWISE, key=str.encode) == BYTEWISE
    await store.apply([like(user, item) for user in reversed(BYTEWISE) for item in reversed(BYTEWISE)])
    assert [(row.user_id, row.item_id) for row in await everything(store, 10)] == [
        (user, item) for user in BYTEWISE for item in BYTEWISE
    ]


async def test_ties_in_lists_are_in_the_order_of_utf8_bytes(store: Store) -> None:
    await store.apply([like("u", item, None, 5) for item in reversed(BYTEWISE)])
    await store.apply([like(user, "i", None, 5) for user in reversed(BYTEWISE)])
    assert [row.item_id for row in await all_likes(store, "u", 2)] == BYTEWISE
    assert [row.user_id for row in await all_likers(store, "i", 2)] == BYTEWISE


async def test_an_id_may_have_256_bytes(store: Store) -> None:
    outcomes = await store.apply([like(id_, id_) for id_ in LONGEST])
    assert [outcome.changed for outcome in outcomes] == [True] * len(LONGEST)
    assert [row.item_id for row in await everything(store)] == sorted(LONGEST)


@pytest.mark.parametrize("bad", BAD, ids=ascii)
async def test_a_bad_id_is_refused_alone_in_its_batch(store: Store, bad: str) -> None:
    batch = [
        like("u", "before"),
        like("u", bad),
        like(bad, "i"),
        like("u", "i", bad if len(bad) < 70 else None),
        like("u", "after"),
    ]
    outcomes = await store.apply(batch)
    typed = len(bad) >= 70  # that op had no bad type, so it is a good op
    assert [outcome.error is None for outcome in outcomes] == [True, False, False, typed, True]
    assert [row.item_id for row in await all_likes(store, "u")] == ["after", *["i"] * typed, "before"]
    assert [outcome.offset for outcome in outcomes if outcome.changed] == list(range(1, 3 + typed))


@pytest.mark.parametrize("bad", BAD, ids=ascii)
async def test_the_rules_refuse_a_bad_id_everywhere(likes: Likes, bad: str) -> None:
    calls = [
        lambda: likes.like(bad, "i"),
        lambda: likes.like("u", bad),
        lambda: likes.unlike("u", bad),
        lambda: likes.count(bad),
        lambda: likes.counts(["i", bad]),
        lambda: likes.counts(["i"], user=bad),
        lambda: likes.liked_at("u", bad),
        lambda: likes.liked_at(bad, "i"),
        lambda: likes.likes_page(bad),
        lambda: likes.likers_page(bad),
        lambda: likes.likers_page("i", among=["u", bad]),
        lambda: likes.summaries(["i", bad]),
        lambda: likes.summaries(["i"], user=bad),
        lambda: likes.summaries(["i"], among=[bad]),
        lambda: likes.forget_user(bad),
        lambda: likes.forget_item(bad),
    ]
    for call in calls:
        with pytest.raises(InvalidInput):
            await call()
    assert (await likes.stats()).likes == 0


async def test_a_type_is_told_apart_by_bytes_and_may_have_64(store: Store) -> None:
    types = ["post", "Post", "post ", "", "x" * 64, "x" * 65]
    outcomes = await store.apply([like("u", f"i{n}", type_) for n, type_ in enumerate(types)])
    assert [outcome.error is None for outcome in outcomes] == [True, True, True, False, True, False]
    assert [row.item_id for row in await all_likes(store, "u", item_type="post")] == ["i0"]
    assert [row.item_id for row in await all_likes(store, "u", item_type="post ")] == ["i2"]
    assert await all_likes(store, "u", item_type="POST") == []
