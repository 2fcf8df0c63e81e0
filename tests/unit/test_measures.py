"""Histograms."""

from likewise.measures import Histogram


def test_a_value_falls_under_the_first_bound_that_is_not_below_it() -> None:
    histogram = Histogram([1, 10, 100])
    for value in (0, 1, 1.5, 10, 100, 101, 1e9):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1, 2]
    assert histogram.total == 7
    assert histogram.sum == 0 + 1 + 1.5 + 10 + 100 + 101 + 1e9


def test_a_quantile_is_the_upper_bound_of_its_bucket() -> None:
    histogram = Histogram([1, 10, 100])
    for value in [0.5] * 50 + [5] * 45 + [50] * 5:
        histogram.observe(value)
    assert [histogram.quantile(q) for q in (0.0, 0.5, 0.51, 0.95, 0.96, 1.0)] == [1, 1, 10, 10, 100, 100]


def test_a_quantile_above_all_bounds_is_the_last_bound() -> None:
    histogram = Histogram([1, 10])
    histogram.observe(1e6)
    assert histogram.quantile(0.99) == 10


def test_without_values_every_quantile_is_0() -> None:
    assert [Histogram([1, 10]).quantile(q) for q in (0.0, 0.5, 1.0)] == [0, 0, 0]
