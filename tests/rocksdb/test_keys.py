"""Keys: injective, in the order of what they say, and never one id's among another's. For all ids that may be."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from likewise.model import ID_BYTES_MAX, problem_with_text
from likewise.store.rocksdb import keys
from likewise.times import LATEST

# From few characters, so that examples meet: prefixes, the bytes next to the one that ends an id, combining marks,
# characters of 1 to 4 bytes, the first and last of each length, and those that UTF-16 would sort otherwise.
FEW = " !aAzr~\u00a0\u0301\u00e9\u07ff\u0800\u200b\u202e\ud7ff\ue000\uffff\U00010000😀\U0010ffff"

close_ids = st.text(st.sampled_from(FEW), min_size=1, max_size=4)
any_ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=16)
long_ids = st.sampled_from(FEW).map(lambda text: text * (ID_BYTES_MAX // len(text.encode())))
ids = (close_ids | any_ids | long_ids).filter(lambda text: problem_with_text(text) is None)
times = st.sampled_from([0, 1, 255, 256, 2**32, LATEST - 1, LATEST]) | st.integers(0, LATEST)
offsets = st.integers(0, 2**63)

entries = st.tuples(ids, times, ids)
"""(whose list, liked_at, the other id)"""


def timeline(entry: tuple[str, int, str]) -> bytes:
    return keys.ranked(keys.timeline_of(entry[0]), *entry[1:])


def likers(entry: tuple[str, int, str]) -> bytes:
    return keys.ranked(keys.likers_of(entry[0]), *entry[1:])


def in_order(entry: tuple[str, int, str]) -> tuple[bytes, int, bytes]:
    return entry[0].encode(), -entry[1], entry[2].encode()


def test_the_ids_tried_are_those_that_matter() -> None:
    assert [character for character in FEW if problem_with_text(character)] == []
    for refused in ("\x00", "\x01", "a\x00b", "\x01" * 5, "\x1f", "\x7f", "", "a" * (ID_BYTES_MAX + 1)):
        assert problem_with_text(refused), "upstream, so no key ever meets it"


@given(st.lists(entries, max_size=6))
@example([("a", 0, "b"), ("ab", 0, "b"), ("a", LATEST, "b"), ("a b", 5, "c"), ("a", 0, "bc")])
def test_keys_of_lists_are_in_order_of_owner_time_and_id(found: list[tuple[str, int, str]]) -> None:
    for key in (timeline, likers):
        assert sorted(found, key=key) == sorted(found, key=in_order)


@given(st.lists(st.tuples(ids, ids), max_size=8))
@example([("a", "bc"), ("ab", "c"), ("a", "b"), ("a ", "b"), ("a", " b")])
def test_keys_of_the_register_are_in_order_of_user_and_item(pairs: list[tuple[str, str]]) -> None:
    expected = sorted(pairs, key=lambda pair: (pair[0].encode(), pair[1].encode()))
    assert sorted(pairs, key=lambda pair: keys.register(*pair)) == expected


@given(st.lists(offsets, max_size=8))
def test_keys_of_changes_are_in_order_of_their_offsets(found: list[int]) -> None:
    assert sorted(found, key=keys.changes) == sorted(found)


@given(st.sets(st.tuples(ids, ids), max_size=6), st.sets(entries, max_size=6), st.sets(offsets, max_size=3))
def test_no_two_things_have_one_key(
    pairs: set[tuple[str, str]], found: set[tuple[str, int, str]], numbers: set[int]
) -> None:
    names = {id_ for pair in pairs for id_ in pair} | {id_ for entry in found for id_ in (entry[0], entry[2])}
    made = [keys.register(*pair) for pair in pairs]
    made += [key(entry) for entry in found for key in (timeline, likers)]
    made += [key(name) for name in names for key in (keys.count, keys.note)]
    made += [keys.changes(number) for number in numbers]
    assert len(set(made)) == len(made)


@given(ids, ids, times, offsets)
def test_keys_can_be_read_back(one: str, other: str, liked_at: int, offset: int) -> None:
    assert keys.register_pair(keys.register(one, other)) == (one, other)
    assert keys.count(one)[len(keys.COUNT) :].decode() == one
    for of in (keys.timeline_of(one), keys.likers_of(one)):
        key = keys.ranked(of, liked_at, other)
        assert keys.ranked_parts(key, len(of)) == (liked_at, other)
        assert keys.entry_parts(key) == (one, liked_at, other)
        assert keys.list_owner(key) == one.encode()
    assert keys.changes_offset(keys.changes(offset)) == offset


@given(entries, ids)
@example(("ab", 0, "x"), "a")
@example(("a", 0, "x"), "ab")
def test_no_list_reaches_into_another(entry: tuple[str, int, str], other: str) -> None:
    for key, of in ((timeline, keys.timeline_of), (likers, keys.likers_of)):
        assert key(entry).startswith(of(entry[0]))
        assert key(entry).startswith(of(other)) is (other == entry[0])
    kinds = [keys.REGISTER, keys.COUNT, keys.TIMELINE, keys.LIKERS, keys.CHANGES, keys.note("")]
    assert len({kind[:1] for kind in kinds}) == len(kinds)
    assert all(len(kind) == 1 for kind in kinds)


@given(st.lists(entries, min_size=2, max_size=5, unique=True))
def test_behind_a_key_is_before_whatever_follows(found: list[tuple[str, int, str]]) -> None:
    for key in (timeline, likers):
        for first, second in pairwise(sorted(key(entry) for entry in found)):
            assert first < keys.behind(first) <= second
