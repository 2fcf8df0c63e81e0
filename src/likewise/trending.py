"""Heavy hitters: the items liked most right now, in bounded memory.

Misra-Gries counters, pruned as when two summaries are merged (Agarwal, Cormode, Huang, Phillips, Wei, Yi: "Mergeable
Summaries", 2012), over forward-decayed weights (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", 2009): a like's
weight grows with its time instead of every older one's shrinking, so nothing has to be updated while time passes.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from .times import SECOND, Clock

HALF_LIVES_MAX = 40.0
"""Weights are scaled back to 1 before they outgrow a float."""


class Hot(NamedTuple):
    """An item and its recent rate, a lower bound: what pruning took from it is not counted."""

    item_id: str
    likes_per_minute: float


class HeavyHitters:
    """The `counters_max` items with the greatest decayed weight; a like counts half after `half_life_s` seconds.

    Any item with more than 1 / `counters_max` of all recent likes is among them. Up to twice as many are held between
    two prunings, so that a like costs a look-up and not a search for the least of all.
    """

    def __init__(self, clock: Clock, *, counters_max: int = 1_000, half_life_s: float = 120) -> None:
        self._clock = clock
        self._counters_max = counters_max
        self._half_life_us = half_life_s * SECOND
        self._began = clock()
        self._weights: dict[str, float] = {}

    def add(self, item_id: str, likes: int = 1) -> None:
        """Count likes of an item, now."""
        self.add_all({item_id: likes})

    def add_all(self, likes: Mapping[str, int]) -> None:
        """Count likes of many items, now."""
        scale, weights = self._scale(), self._weights
        for item_id, n in likes.items():
            weights[item_id] = weights.get(item_id, 0.0) + n * scale
        if len(weights) > 2 * self._counters_max:
            self._prune()

    def top(self, limit: int) -> list[Hot]:
        """The hottest items, hottest first, ties by id."""
        per_minute = math.log(2) / self._half_life_us * 60 * SECOND / self._scale()
        hottest = sorted(self._weights.items(), key=lambda entry: (-entry[1], entry[0]))
        return [Hot(item_id, weight * per_minute) for item_id, weight in hottest[:limit] if weight > 0]

    def _prune(self) -> None:
        """Take from all what the first one too many has, so that at most `counters_max` are left."""
        cut = sorted(self._weights.values(), reverse=True)[self._counters_max]
        self._weights = {item_id: weight - cut for item_id, weight in self._weights.items() if weight > cut}

    def _scale(self) -> float:
        """The weight of a like made now. A clock that steps back makes it no less than at the beginning."""
        half_lives = max(0.0, (self._clock() - self._began) / self._half_life_us)
        if half_lives > HALF_LIVES_MAX:
            self._rescale(0.5 ** min(half_lives, 1_000.0))
            return 1.0
        return 2.0**half_lives

    def _rescale(self, factor: float) -> None:
        self._weights = {item_id: weight * factor for item_id, weight in self._weights.items()}
        self._began = self._clock()
