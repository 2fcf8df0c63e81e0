"""The L1 cache: counts in this process's memory, written through by every commit, hence exact on a one-process tier."""

from collections.abc import Iterable

from .model import Count


class CountsCache:
    """Item → Count, holding at least the `items_max` / 2 and at most the `items_max` used last.

    Two generations stand in for an LRU list: a look-up is one dictionary access, and when the young generation is
    full the old one is dropped whole.
    """

    def __init__(self, items_max: int) -> None:
        self._generation_max = max(1, items_max // 2)
        self._young: dict[str, Count] = {}
        self._old: dict[str, Count] = {}

    def get(self, item_id: str) -> Count | None:
        """The count, if it is held."""
        count = self._young.get(item_id)
        if count is None and (count := self._old.get(item_id)):
            self._insert(count)
        return count

    def put(self, count: Count) -> None:
        """Hold a count, unless a newer version of it is held already."""
        self.put_all((count,))

    def put_all(self, counts: Iterable[Count]) -> None:
        """The same of many counts."""
        for count in counts:
            item_id = count.item_id
            if (held := self._young.get(item_id)) is not None:
                if held.version <= count.version:
                    self._young[item_id] = count
            elif (held := self._old.get(item_id)) is None or held.version <= count.version:
                self._insert(count)

    def clear(self) -> None:
        """Forget everything; for when counts change other than by ops (a repair)."""
        self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def _insert(self, count: Count) -> None:
        if len(self._young) >= self._generation_max and count.item_id not in self._young:
            self._young, self._old = {}, self._young
        self._young[count.item_id] = count
