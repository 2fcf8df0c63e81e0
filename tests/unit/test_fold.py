"""`fold` of a batch against doing its ops one by one, and what it promises besides."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from likewise.fold import NO_LIKES, Folded, Pair, Row, Tally, fold, pairs_of
from likewise.model import Op, faults_of
from tests.ops import like, unlike

USERS = ["u", "v", "U", "é", "😀"]
ITEMS = ["i", "j", "k"]

good_ops = st.builds(
    Op,
    st.sampled_from(USERS),
    st.sampled_from(ITEMS),
    st.booleans(),
    st.sampled_from([None, None, "post", "video"]),
    st.sampled_from([None, None, None, 0, 5, 1_000, 253_402_300_799_999_999]),
)
bad_ops = st.sampled_from(
    [
        Op("", "i", True),
        Op("u", "\x00", True),
        Op("u", "x" * 257, False),
        Op("u", "i", True, ""),
        Op("u", "i", True, None, -1),
        Op("u", "i", 1),  # type: ignore[arg-type]
        Op(None, "i", True),  # type: ignore[arg-type]
        Op("u", "i", True, ["post"]),  # type: ignore[arg-type]
        Op("u", "\ud800", True),
    ]
)
batches = st.lists(st.one_of(good_ops, good_ops, good_ops, bad_ops), max_size=25)
rows = st.dictionaries(
    st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS)),
    st.tuples(st.integers(0, 2_000), st.sampled_from([None, "post"])),
)


def state_before(rows: Mapping[Pair, Row], offset: int) -> dict[str, Tally]:
    """The counts that these rows come to, with some version each."""
    counts: dict[str, Tally] = {}
    for _, item in rows:
        counts[item] = (counts.get(item, NO_LIKES)[0] + 1, max(1, offset - 1))
    return counts


def fold_all(ops: Sequence[Op], rows: Mapping[Pair, Row], tallies: Mapping[str, Tally], **where: Any) -> Folded:
    pairs = pairs_of(ops)
    return fold(ops, pairs, {pair: rows.get(pair) for pair in pairs if pair}, tallies, **where)


def fold_one_by_one(
    ops: Sequence[Op], rows: Mapping[Pair, Row], tallies: Mapping[str, Tally], now: int, offset: int
) -> Folded:
    """Each op as a batch of its own, each applied to what the one before left."""
    state, counts = dict(rows), dict(tallies)
    outcomes, changes = [], []
    for at, op in enumerate(ops, now):
        one = fold_all([op], state, counts, now=at, offset=offset)
        outcomes += one.outcomes
        changes += one.changes
        for pair, (_, after) in one.rows.items():
            if after is None:
                del state[pair]
            else:
                state[pair] = after
        counts.update(one.tallies)
        offset = one.offset
    net = {
        pair: (rows.get(pair), state.get(pair))
        for pair in rows.keys() | state.keys()
        if rows.get(pair) != state.get(pair)
    }
    touched = {change.item_id for change in changes}
    return Folded(outcomes, changes, net, {item: counts[item] for item in touched}, offset)


@given(batches, rows, st.integers(0, 10**12), st.integers(2, 10**9))
@example([unlike("u", "i"), like("u", "i", "post", 5)], {("u", "i"): (5, "post")}, 0, 2)
@settings(max_examples=400)
def test_a_batch_comes_to_the_same_as_its_ops_one_by_one(
    ops: list[Op], rows: dict[Pair, Row], now: int, offset: int
) -> None:
    tallies = state_before(rows, offset)
    whole = fold_all(ops, rows, tallies, now=now, offset=offset)
    assert whole == fold_one_by_one(ops, rows, tallies, now, offset)


@given(batches, rows, st.integers(0, 25))
@settings(max_examples=200)
def test_a_batch_may_be_cut_anywhere(ops: list[Op], rows: dict[Pair, Row], cut: int) -> None:
    tallies = state_before(rows, 10)
    whole = fold_all(ops, rows, tallies, now=100, offset=10)
    first = fold_all(ops[:cut], rows, tallies, now=100, offset=10)
    between = {pair: row for pair, row in rows.items() if pair not in first.rows}
    between |= {pair: after for pair, (_, after) in first.rows.items() if after}
    second = fold_all(ops[cut:], between, tallies | first.tallies, now=100 + len(ops[:cut]), offset=first.offset)
    assert first.outcomes + second.outcomes == whole.outcomes
    assert first.changes + second.changes == whole.changes
    assert first.tallies | second.tallies == whole.tallies
    assert second.offset == whole.offset


@given(batches, rows)
@settings(max_examples=200)
def test_what_a_fold_says_agrees_with_itself(ops: list[Op], rows: dict[Pair, Row]) -> None:
    tallies = state_before(rows, 10)
    folded = fold_all(ops, rows, tallies, now=100, offset=10, epoch=3, shard=4)
    assert [change.offset for change in folded.changes] == list(range(11, folded.offset + 1))
    assert [outcome.error is not None for outcome in folded.outcomes] == [bool(faults_of(op)) for op in ops]
    assert len(folded.changes) == sum(outcome.changed is True for outcome in folded.outcomes)
    for item in ITEMS:
        gained = sum(
            (after is not None) - (before is not None) for (_, i), (before, after) in folded.rows.items() if i == item
        )
        assert folded.tallies.get(item, tallies.get(item, NO_LIKES))[0] == tallies.get(item, NO_LIKES)[0] + gained
    for outcome in folded.outcomes:
        if outcome.error is None:
            assert (outcome.epoch, outcome.shard) == (3, 4)
            assert outcome.count is not None
            assert outcome.count >= 0
            assert (outcome.liked_at is not None) is outcome.liked


@given(st.lists(st.one_of(good_ops, bad_ops), max_size=20))
@settings(max_examples=300)
def test_the_fast_look_at_a_batch_judges_as_the_slow_one(ops: list[Op]) -> None:
    assert pairs_of(ops) == [None if faults_of(op) else (op.user_id, op.item_id) for op in ops]
    for op in ops:  # alone, a bad op has no neighbour that makes the batch be looked at closely
        assert pairs_of([op]) == [None if faults_of(op) else (op.user_id, op.item_id)]


@given(st.lists(good_ops, min_size=1, max_size=60))
@settings(max_examples=100)
def test_an_item_is_written_once_however_many_ops_hit_it(ops: list[Op]) -> None:
    folded = fold_all(ops, {}, {}, now=0, offset=0)
    assert len(folded.tallies) <= len(ITEMS)
    assert len(folded.rows) <= len({(op.user_id, op.item_id) for op in ops})
    for before, after in folded.rows.values():
        assert before != after


def test_a_pair_toggled_back_writes_no_row_and_keeps_its_changes() -> None:
    folded = fold_all([like("u", "i"), unlike("u", "i")], {}, {}, now=0, offset=0)
    assert folded.rows == {}
    assert folded.tallies == {"i": (0, 2)}
    assert [change.liked for change in folded.changes] == [True, False]


def test_a_transition_is_written_as_an_array() -> None:
    folded = fold_all([like("u", "i", "post", 5)], {}, {}, now=7, offset=0)
    assert msgspec.json.encode(folded.changes) == b'[[1,7,"u","i","post",true,5]]'
