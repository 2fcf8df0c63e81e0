"""Heavy hitters against exact counts, over streams of every shape, with a clock set by hand."""

from collections import Counter
from random import Random

import pytest

from likewise.trending import HALF_LIVES_MAX, HeavyHitters
from tests.clocks import DAY, SECOND, SetClock


def skewed(seed: int, n: int, items: int = 20_000) -> list[str]:
    """Item k about 1/k as often as the first, as likes are."""
    random = Random(seed)
    return [f"i{int(items ** random.random())}" for _ in range(n)]


@pytest.mark.parametrize("seed", range(5))
def test_the_hottest_of_a_skewed_stream_are_found_in_order(seed: int) -> None:
    hot = HeavyHitters(SetClock(), counters_max=200)
    stream = skewed(seed, 20_000)
    for item in stream:
        hot.add(item)
    exact = Counter(stream)
    top = [item for item, _ in hot.top(10)]
    assert top == sorted(top, key=lambda item: (-exact[item], item)), "in order of their true counts"
    assert set(top[:5]) == {item for item, _ in exact.most_common(5)}


@pytest.mark.parametrize("seed", range(3))
def test_every_item_above_the_threshold_is_held_and_no_rate_is_overstated(seed: int) -> None:
    clock = SetClock()
    hot = HeavyHitters(clock, counters_max=100, half_life_s=60)
    stream = skewed(seed, 10_000)
    for item in stream:
        hot.add(item)
    exact = Counter(stream)
    held = dict(hot.top(100))
    per_like = 60 * SECOND * 0.6931471805599453 / (60 * SECOND)
    for item, n in exact.items():
        assert held.get(item, 0.0) <= n * per_like * (1 + 1e-9), "a lower bound"
    # The bound that the paper proves: what pruning takes from a counter is at most the mean.
    for item, n in exact.items():
        if n > 2 * len(stream) / 100:
            assert held[item] >= (n - len(stream) / 100) * per_like * (1 - 1e-9)


def test_a_stream_of_few_items_is_counted_exactly() -> None:
    hot = HeavyHitters(SetClock(), counters_max=10, half_life_s=60)
    for item, n in [("a", 5), ("b", 3), ("c", 3), ("d", 1)]:
        hot.add(item, n)
    top = hot.top(10)
    assert [item for item, _ in top] == ["a", "b", "c", "d"]
    assert [rate / top[-1].likes_per_minute for _, rate in top] == pytest.approx([5, 3, 3, 1])


def test_memory_is_bounded() -> None:
    hot = HeavyHitters(SetClock(), counters_max=50)
    for n in range(5_000):
        hot.add(f"i{n}")
        hot.add(f"i{n % 7}")
        assert len(hot._weights) <= 2 * 50
    assert {f"i{n}" for n in range(7)} <= {item for item, _ in hot.top(50)}


def test_a_steady_rate_is_told_as_likes_per_minute() -> None:
    clock = SetClock()
    hot = HeavyHitters(clock, half_life_s=60)
    for _ in range(3_600):
        clock.step(SECOND)
        hot.add("steady", 2)
    assert hot.top(1)[0].likes_per_minute == pytest.approx(120, rel=0.02)


def test_a_like_counts_half_after_the_half_life() -> None:
    clock = SetClock()
    hot = HeavyHitters(clock, half_life_s=120)
    hot.add("a", 100)
    before = hot.top(1)[0].likes_per_minute
    clock.step(120 * SECOND)
    assert hot.top(1)[0].likes_per_minute == pytest.approx(before / 2)


def test_items_cool_down_and_new_ones_take_their_place() -> None:
    clock = SetClock()
    hot = HeavyHitters(clock, counters_max=10, half_life_s=60)
    for n in range(10):
        hot.add(f"old{n}", 1_000)
    clock.step(20 * 60 * SECOND)
    for n in range(10):
        hot.add(f"new{n}", 5)
    assert {item for item, rate in hot.top(10) if rate > 1} == {f"new{n}" for n in range(10)}


def test_a_quiet_service_has_nothing_hot() -> None:
    clock = SetClock()
    hot = HeavyHitters(clock)
    assert hot.top(10) == []
    hot.add("a", 1_000_000)
    clock.step(5_000_000 * SECOND)
    hot.add("b")
    newest, *cold = hot.top(10)
    assert newest.item_id == "b"
    assert all(rate < 1e-9 for _, rate in cold)


@pytest.mark.parametrize("gap", [60, 7_200, int(HALF_LIVES_MAX * 120), 1_000_000, 50_000_000, 10**12])
def test_nothing_overflows_however_long_nothing_happens(gap: int) -> None:
    clock = SetClock()
    hot = HeavyHitters(clock, counters_max=3)
    for round_ in range(50):
        for item in "abcd":
            hot.add(f"{item}{round_ % 2}", 10)
        clock.step(gap * SECOND)
        assert all(0 < rate < 1e9 for _, rate in hot.top(3))


@pytest.mark.parametrize("back", [1, SECOND, DAY, 100 * DAY])
def test_a_clock_that_steps_back_breaks_nothing(back: int) -> None:
    clock = SetClock()
    hot = HeavyHitters(clock, counters_max=5)
    hot.add("before", 10)
    clock.step(-back)
    for n in range(20):
        hot.add(f"i{n % 4}", 1 + n % 4)
    top = hot.top(5)
    assert top[0].item_id == "i3"
    assert all(0 < rate < 1e9 for _, rate in top)
    clock.step(2 * back)
    hot.add("after", 1_000)
    assert hot.top(1)[0].item_id == "after"


def test_the_order_survives_the_scaling_back_of_weights() -> None:
    clock = SetClock()
    hot = HeavyHitters(clock, counters_max=8, half_life_s=1)
    for second in range(200):
        clock.step(SECOND)
        for n in range(6):
            hot.add(f"i{n}", n + 1)
        assert [item for item, _ in hot.top(6)] == [f"i{n}" for n in reversed(range(6))], second


def test_ties_are_in_order_of_id() -> None:
    hot = HeavyHitters(SetClock())
    for item in "cab":
        hot.add(item)
    assert [item for item, _ in hot.top(3)] == ["a", "b", "c"]
