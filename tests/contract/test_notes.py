"""Small notes that the service keeps, such as the hot list."""

from likewise.store.contract import Store


async def test_a_note_is_recalled_as_it_was_remembered_and_the_last_one_wins(store: Store) -> None:
    assert await store.recall("hot") is None
    for value in (b"", b"one", bytes(range(256)), b"x" * 100_000, b"two"):
        await store.remember("hot", value)
        assert await store.recall("hot") == value


async def test_notes_do_not_meet_each_other_or_the_stores_own(store: Store) -> None:
    for key in ("epoch", "likes", "a", "A"):
        assert await store.recall(key) is None
        await store.remember(key, key.encode())
    assert [await store.recall(key) for key in ("epoch", "likes", "a", "A")] == [b"epoch", b"likes", b"a", b"A"]
    assert (await store.stats()).likes == 0
