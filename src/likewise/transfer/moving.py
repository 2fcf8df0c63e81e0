"""Moving all likes of one store into another, of any kind: `scan` of the one, `apply` of the other.

How far a move has come is noted in the target, for the same reason as an import's (`importing.py`): the note may never
say more than the target holds. An interrupted move repeats a few likes, which changes nothing, and skips none.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

import msgspec

from ..errors import SetupError
from ..fold import Pair
from ..model import Drift, Like, Op, Report
from ..store.contract import Store
from ..times import to_rfc3339
from .exporting import everything

BATCH_OPS = 1_000
NOTE_KEY = "move"
NOTE_EVERY_S = 1.0
DIFFERENCES_SHOWN_MAX = 100


class Note(msgspec.Struct):
    """How far a move has come: from which source (its newest position, which is of its epoch alone), behind which
    like, and how many."""

    source: str
    behind: Pair | None = None
    likes: int = 0


class Checked(msgspec.Struct, frozen=True):
    """What a comparison found: how many likes the source has, how many differ in the target (`differences` lists at
    most 100 of them), and the target's own `verify`."""

    likes: int
    different: int
    differences: list[Drift]
    report: Report

    @property
    def good(self) -> bool:
        """Whether the target has what the source has, and its counts and lists agree with that."""
        return not self.different and not self.report.drifted


async def begin(source: Store, target: Store) -> Note:
    """Where a move begins, or goes on if it was interrupted. Raises SetupError for a target with likes of its own, or
    of another move."""
    position = str((await source.stats()).position)
    kept = await target.recall(NOTE_KEY)
    if kept:
        note = msgspec.json.decode(kept, type=Note)
        if note.source != position:
            raise SetupError(
                "a move into this target was begun, and from another source, or this source was written to since. "
                "Likes of two states would mix: move into a new store."
            )
        return note
    if likes := (await target.stats()).likes:
        raise SetupError(f"the target has {likes:,} likes already. Move into a new store, so that none get mixed up.")
    note = Note(position)
    await _remember(target, note)  # before any like: from here on, what the target has is of this move
    return note


async def move(source: Store, target: Store, note: Note, progress: Callable[[int], object] = lambda _: None) -> None:
    """Apply all likes of `source` behind the note to `target`, with their times and types. `progress` is told how many
    likes it has come past."""
    noted_at = monotonic()
    likes = await source.scan(note.behind, BATCH_OPS)
    while likes:
        behind = _pair(likes[-1])
        ops = [Op(like.user_id, like.item_id, True, like.item_type, like.liked_at) for like in likes]
        _, following = await asyncio.gather(target.apply(ops), source.scan(behind, BATCH_OPS))
        note.behind, note.likes = behind, note.likes + len(likes)
        progress(note.likes)
        if monotonic() > noted_at + NOTE_EVERY_S:
            await _remember(target, note)
            noted_at = monotonic()
        likes = following
    await _remember(target, note)


async def check(source: Store, target: Store, progress: Callable[[int], object] = lambda _: None) -> Checked:
    """Compare the two like by like, and verify the target. If all is good the move is over, and its note is cleared.

    `progress` is told how many likes have been compared.
    """
    differences: list[Drift] = []
    likes = different = 0
    async for here, there in _side_by_side(source, target):
        likes += here is not None
        if here != there:
            different += 1
            if different <= DIFFERENCES_SHOWN_MAX:
                differences.append(_difference(here, there))
        if likes % BATCH_OPS == 0:
            progress(likes)
    checked = Checked(likes, different, differences, await target.verify())
    if checked.good:
        await target.remember(NOTE_KEY, b"")
    return checked


async def _side_by_side(one: Store, other: Store) -> AsyncIterator[tuple[Like | None, Like | None]]:
    """A merge of two scans: each pair that either store likes, as it is in both."""
    left, right = _each(one), _each(other)
    here, there = await anext(left, None), await anext(right, None)
    while here or there:
        if there is None or (here and _pair(here) < _pair(there)):
            yield here, None
            here = await anext(left, None)
        elif here is None or _pair(there) < _pair(here):
            yield None, there
            there = await anext(right, None)
        else:
            yield here, there
            here, there = await anext(left, None), await anext(right, None)


async def _each(store: Store) -> AsyncIterator[Like]:
    async for likes in everything(store):
        for like in likes:
            yield like


def _difference(here: Like | None, there: Like | None) -> Drift:
    like = here or there
    assert like is not None
    if there is None:
        detail = "is missing in the target"
    elif here is None:
        detail = "is in the target only"
    else:
        detail = f"is {_attributes(here)}, and in the target {_attributes(there)}"
    return Drift("likes", f"{like.user_id} → {like.item_id}", detail)


def _attributes(like: Like) -> str:
    return f"of {to_rfc3339(like.liked_at)} and type {like.item_type}"


def _pair(like: Like) -> Pair:
    return like.user_id, like.item_id


async def _remember(target: Store, note: Note) -> None:
    await target.remember(NOTE_KEY, msgspec.json.encode(note))
