"""Folding: what a batch of ops comes to, as one pure function shared by every tier.

A batch that hits one item a thousand times writes its count once, and a pair that is toggled in the batch writes its
row once. Transitions are never merged: each has its change. A tier takes `pairs_of(ops)`, reads their state and the
counts of their items, calls `fold`, and writes what it returns in one transaction.

This is the hot path of bulk writes: rows and tallies are plain tuples, and positions are made only when asked for.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from .model import ID_BYTES_MAX, TYPE_BYTES_MAX, Op, Outcome, faults_of

Pair = tuple[str, str]
"""(user_id, item_id): the identity of a like."""

Row = tuple[int, str | None]
"""(liked_at, item_type): a like as it is stored."""

Tally = tuple[int, int]
"""(count, version): an item's count as it is stored; the version is the offset of the last change of it."""

NO_LIKES: Tally = (0, 0)


class Transition(msgspec.Struct, array_like=True, gc=False):
    """A change as fold makes it: `model.Change` without its epoch and shard."""

    offset: int
    at: int
    user_id: str
    item_id: str
    item_type: str | None
    liked: bool
    liked_at: int | None


class Folded(NamedTuple):
    """What a batch comes to: an outcome per op, its changes in order, and the net writes.

    `rows` has (before, after) for each pair whose row ends differently than it began, in the order in which `fold` was
    given them, `tallies` the new count of each item that any change touched, and `offset` the last change's offset.
    """

    outcomes: list[Outcome]
    changes: list[Transition]
    rows: dict[Pair, tuple[Row | None, Row | None]]
    tallies: dict[str, Tally]
    offset: int


def fold(
    ops: Sequence[Op],
    pairs: Sequence[Pair | None],
    rows: Mapping[Pair, Row | None],
    tallies: Mapping[str, Tally],
    *,
    now: int,
    offset: int,
    epoch: int = 1,
    shard: int = 0,
) -> Folded:
    """Apply `ops` in order to the state before them.

    `pairs` is `pairs_of(ops)`. `rows` has the stored row, or None, of each of those pairs, and `tallies` the stored
    count of each of their items (missing: none yet). The k-th op is accepted at `now` + k microseconds; changes are
    numbered from `offset` + 1 in this epoch and shard.

    A like repeated keeps its first `liked_at` and `item_type`; a transition to liked always sets new ones.
    """
    outcomes: list[Outcome] = []
    changes: list[Transition] = []
    current: dict[Pair, Row | None] = {}
    counts: dict[str, Tally] = {}
    for accepted_at, (op, pair) in enumerate(zip(ops, pairs, strict=True), now):
        if pair is None:
            outcomes.append(refused(op))
            continue
        liked, item_id = op.liked, pair[1]
        row = current[pair] if pair in current else rows[pair]
        tally = counts.get(item_id) or tallies.get(item_id, NO_LIKES)
        changed = liked is (row is None)
        if changed:
            offset += 1
            if liked:
                liked_at = accepted_at if op.liked_at is None else op.liked_at
                item_type = op.item_type
                row = (liked_at, item_type)
                tally = (tally[0] + 1, offset)
            else:
                assert row is not None
                liked_at, item_type = None, row[1]
                row = None
                tally = (tally[0] - 1, offset)
            current[pair] = row
            counts[item_id] = tally
            changes.append(Transition(offset, accepted_at, pair[0], item_id, item_type, liked, liked_at))
        else:
            liked_at = None if row is None else row[0]
        outcomes.append(Outcome(liked, changed, liked_at, tally[0], tally[1], epoch, shard, offset))
    net = {pair: (row, current[pair]) for pair, row in rows.items() if pair in current and current[pair] != row}
    return Folded(outcomes, changes, net, counts, offset)


def pairs_of(ops: Sequence[Op]) -> list[Pair | None]:
    """The pair that each op speaks of; None where the op is bad and must be refused."""
    users = [op.user_id for op in ops]
    items = [op.item_id for op in ops]
    types = [op.item_type for op in ops if op.item_type is not None]
    dated = any(op.liked_at is not None for op in ops)
    clear = {type(op.liked) for op in ops} <= {bool}
    if _plain(users) and _plain(items) and _plain(types, TYPE_BYTES_MAX) and clear and not dated:
        return list(zip(users, items, strict=True))
    return [None if faults_of(op) else (op.user_id, op.item_id) for op in ops]


def refused(op: Op) -> Outcome:
    """The outcome of an op that must not be applied."""
    return Outcome(op.liked, error="; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults_of(op)))


def _plain(texts: list[str], bytes_max: int = ID_BYTES_MAX) -> bool:
    """Whether all of these are plain printable ASCII, by looking at them as one text: most batches are, and this costs
    a tenth of checking each. False only means: look closer."""
    try:
        whole = "".join(texts)
    except TypeError:
        return False
    return whole.isascii() and whole.isprintable() and "" not in texts and max(map(len, texts), default=0) <= bytes_max
