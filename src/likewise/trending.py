"""Heavy hitters: the items liked most right now, in bounded memory.

Space-saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams",
2005) over forward-decayed weights (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", 2009): a like's weight grows
with its time instead of every older one's shrinking, so nothing has to be updated while time passes.
"""

import math
from heapq import heapify, heappush, heapreplace
from typing import NamedTuple

from .times import SECOND, Clock

HALF_LIVES_MAX = 40.0
"""Weights are scaled back to 1 before they outgrow a float."""


class Hot(NamedTuple):
    """An item and its recent rate, a lower bound: what the sketch took over from other items is not counted."""

    item_id: str
    likes_per_minute: float


class HeavyHitters:
    """The `counters_max` items with the greatest decayed weight; a like counts half after `half_life_s` seconds.

    Any item with more than 1 / `counters_max` of all recent likes is among them.
    """

    def __init__(self, clock: Clock, *, counters_max: int = 1_000, half_life_s: float = 120) -> None:
        self._clock = clock
        self._counters_max = counters_max
        self._half_life_us = half_life_s * SECOND
        self._began = clock()
        self._weights: dict[str, float] = {}
        self._errors: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # (a weight the item had once, item): lower bounds, mended when met

    def add(self, item_id: str, likes: int = 1) -> None:
        """Count likes of an item, now."""
        weight = likes * self._scale()
        held = self._weights.get(item_id)
        if held is not None:
            self._weights[item_id] = held + weight
        elif len(self._weights) < self._counters_max:
            self._weights[item_id], self._errors[item_id] = weight, 0.0
            heappush(self._heap, (weight, item_id))
        else:
            least, victim = self._least()
            del self._weights[victim], self._errors[victim]
            self._weights[item_id], self._errors[item_id] = least + weight, least
            heapreplace(self._heap, (least + weight, item_id))

    def top(self, limit: int) -> list[Hot]:
        """The hottest items, hottest first, ties by id."""
        per_minute = math.log(2) / self._half_life_us * 60 * SECOND / self._scale()
        sure = [(weight - self._errors[item_id], item_id) for item_id, weight in self._weights.items()]
        sure.sort(key=lambda entry: (-entry[0], entry[1]))
        return [Hot(item_id, weight * per_minute) for weight, item_id in sure[:limit] if weight > 0]

    def _least(self) -> tuple[float, str]:
        while True:
            weight, item_id = self._heap[0]
            now = self._weights[item_id]
            if now <= weight:
                return weight, item_id
            heapreplace(self._heap, (now, item_id))

    def _scale(self) -> float:
        """The weight of a like made now. A clock that steps back makes it no less than at the beginning."""
        half_lives = max(0.0, (self._clock() - self._began) / self._half_life_us)
        if half_lives > HALF_LIVES_MAX:
            self._rescale(0.5 ** min(half_lives, 1_000.0))
            return 1.0
        return 2.0**half_lives

    def _rescale(self, factor: float) -> None:
        self._weights = {item_id: weight * factor for item_id, weight in self._weights.items()}
        self._errors = {item_id: error * factor for item_id, error in self._errors.items()}
        self._heap = [(weight, item_id) for item_id, weight in self._weights.items()]
        heapify(self._heap)
        self._began = self._clock()
