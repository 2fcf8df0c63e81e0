"""Short ways to say what a test does, and to read everything back."""

from collections.abc import Sequence

from likewise.model import Change, Keyset, Like, Op, Position
from likewise.store.contract import Store


def like(user_id: str, item_id: str, item_type: str | None = None, liked_at: int | None = None) -> Op:
    return Op(user_id, item_id, True, item_type, liked_at)


def unlike(user_id: str, item_id: str) -> Op:
    return Op(user_id, item_id, False)


async def count_of(store: Store, item_id: str) -> int:
    return (await store.counts([item_id]))[0].count


async def all_likes(store: Store, user_id: str, limit: int = 7, item_type: str | None = None) -> list[Like]:
    """A user's likes, page by page."""
    likes: list[Like] = []
    after: Keyset | None = None
    while True:
        page = await store.likes_of(user_id, limit, after, item_type)
        likes += page.items
        if page.next_cursor is None:
            return likes
        after = Keyset.parse(page.next_cursor)


async def all_likers(store: Store, item_id: str, limit: int = 7, among: Sequence[str] | None = None) -> list[Like]:
    """An item's likers, page by page."""
    likes: list[Like] = []
    after: Keyset | None = None
    while True:
        page = await store.likers_of(item_id, limit, after, among)
        likes += page.items
        if page.next_cursor is None:
            return likes
        after = Keyset.parse(page.next_cursor)


async def all_changes(store: Store, after: Position | None = None, limit: int = 7) -> list[Change]:
    """The change stream from `after` to its present end."""
    found: list[Change] = []
    while True:
        part = await store.changes(after, limit)
        found += part.items
        after = part.position
        if not part.has_more:
            return found


async def everything(store: Store, limit: int = 7) -> list[Like]:
    """All likes, by scan."""
    likes: list[Like] = []
    while True:
        part = await store.scan((likes[-1].user_id, likes[-1].item_id) if likes else None, limit)
        likes += part
        if len(part) < limit:
            return likes


def state_after(changes: Sequence[Change]) -> dict[tuple[str, str], tuple[int, str | None]]:
    """What a stream of changes folds to; fails if a pair does not alternate or the order has a gap."""
    state: dict[tuple[str, str], tuple[int, str | None]] = {}
    last: Change | None = None
    for change in changes:
        if last:
            ((_, before),), ((_, now),) = last.position.offsets, change.position.offsets
            assert now == before + 1, "a gap or a repeat"
            assert change.at > last.at, "times must increase"
        pair = (change.user_id, change.item_id)
        assert change.liked is (pair not in state), "a pair must alternate between liked and not"
        if change.liked:
            assert change.liked_at is not None
            state[pair] = (change.liked_at, change.item_type)
        else:
            assert change.liked_at is None
            del state[pair]
        last = change
    return state
