"""The reading half of the contract over a view, which the process that writes and those that read have in common."""

from abc import abstractmethod
from collections.abc import Sequence

from ...fold import Pair
from ...model import Count, Keyset, Like, Page, Summary
from ..contract import Store
from . import keys
from .view import View


class Reads(Store):
    """Reads of likes. They run right in the event loop's thread: a point read takes microseconds, a thread hop more."""

    scheme = "rocksdb"

    @abstractmethod
    def look(self) -> View:
        """Everything that reads may see now. Raises Closed, StoreFailed."""

    async def counts(self, item_ids: Sequence[str]) -> list[Count]:
        return self.look().counts(item_ids)

    async def liked(self, pairs: Sequence[Pair]) -> list[int | None]:
        return self.look().liked(pairs)

    async def likes_of(
        self, user_id: str, limit: int, after: Keyset | None = None, item_type: str | None = None
    ) -> Page[Like]:
        return self.look().likes_of(user_id, limit, after, item_type)

    async def likers_of(
        self, item_id: str, limit: int, after: Keyset | None = None, among: Sequence[str] | None = None
    ) -> Page[Like]:
        return self.look().likers_of(item_id, limit, after, among)

    async def summaries(
        self, item_ids: Sequence[str], user_id: str | None, among: Sequence[str] | None, show: int
    ) -> list[Summary]:
        view = self.look()
        return [view.summary(item_id, user_id, among, show) for item_id in item_ids]

    async def scan(self, after: Pair | None, limit: int) -> list[Like]:
        return self.look().scan(after, limit)

    async def recall(self, key: str) -> bytes | None:
        return self.look().get(keys.kept(key))
