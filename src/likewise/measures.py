"""What the service counts about itself: plain numbers on the hot path, turned into metrics only when scraped."""

from bisect import bisect_left
from collections.abc import Sequence

LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
COMMIT_BOUNDS_OPS = (1, 4, 16, 64, 128, 256, 512, 1_000, 10_000)


class Histogram:
    """Counts of values by upper bound; `counts` has one more entry than `bounds`, for what lies above all."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def total(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def quantile(self, q: float) -> float:
        """The upper bound of the bucket that the q-quantile falls into; 0 before any value."""
        rank, seen = q * self.total, 0
        for bound, n in zip(self.bounds, self.counts, strict=False):
            seen += n
            if seen >= rank:
                return bound if seen else 0.0
        return self.bounds[-1]


class Measures:
    """Everything `Likes` counts. Only numbers: never by user or item."""

    def __init__(self) -> None:
        self.commit_ops = Histogram(COMMIT_BOUNDS_OPS)
        self.commit_seconds = Histogram(LATENCY_BOUNDS_S)
        self.likes = 0
        self.unlikes = 0
        self.unchanged = 0
        self.refused = 0
        self.cache_hits = 0
        self.cache_misses = 0
