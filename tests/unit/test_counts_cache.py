"""The cache of counts: bounded, keeps what is used, never goes back to an older version."""

from hypothesis import given
from hypothesis import strategies as st

from likewise.counts_cache import CountsCache
from likewise.model import Count


def test_what_was_put_is_found() -> None:
    cache = CountsCache(10)
    assert cache.get("i") is None
    cache.put(Count("i", 3, 7))
    assert cache.get("i") == Count("i", 3, 7)
    assert cache.get("I") is None


def test_an_older_version_never_replaces_a_newer_one() -> None:
    cache = CountsCache(10)
    cache.put(Count("i", 3, 7))
    cache.put(Count("i", 2, 6))
    assert cache.get("i") == Count("i", 3, 7)
    cache.put_all([Count("i", 4, 8), Count("i", 1, 1)])
    assert cache.get("i") == Count("i", 4, 8)


def test_an_older_version_does_not_replace_one_in_the_old_generation() -> None:
    cache = CountsCache(4)
    cache.put(Count("i", 3, 7))
    for n in range(2):
        cache.put(Count(f"other{n}", 1, 1))
    cache.put(Count("i", 2, 6))
    assert cache.get("i") == Count("i", 3, 7)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=200), st.integers(2, 12))
def test_it_is_bounded_and_holds_what_was_used_last(uses: list[tuple[int, bool]], items_max: int) -> None:
    cache = CountsCache(items_max)
    used: list[int] = []
    for version, (n, put) in enumerate(uses):
        if put:
            cache.put(Count(f"i{n}", version, version))
        elif cache.get(f"i{n}") is None:
            continue
        used = [m for m in used if m != n] + [n]
        assert len(cache) <= items_max
    for n in used[-(items_max // 2) :]:
        assert cache.get(f"i{n}") is not None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), max_size=50))
def test_a_count_held_without_pause_never_goes_back(puts: list[tuple[str, int]]) -> None:
    cache = CountsCache(100)
    newest: dict[str, int] = {}
    for item, version in puts:
        cache.put(Count(item, version, version))
        newest[item] = max(newest.get(item, 0), version)
        held = cache.get(item)
        assert held is not None
        assert held.version == newest[item]


def test_clear_forgets_everything() -> None:
    cache = CountsCache(4)
    for n in range(4):
        cache.put(Count(f"i{n}", 1, 1))
    cache.clear()
    assert len(cache) == 0
    assert [cache.get(f"i{n}") for n in range(4)] == [None] * 4
