"""The check of what a crash left (tests/crash) is itself checked: it finds whatever a crash could do to this tier."""

from pathlib import Path

import pytest

from likewise.errors import StoreFailed
from likewise.store import open_store
from likewise.store.rocksdb import RocksStore, keys
from likewise.store.rocksdb.values import Tip, row_to_bytes, tally_to_bytes
from likewise.store.rocksdb.view import TIP
from tests.clocks import NEW_YEAR
from tests.crash.history import asked_and_answered
from tests.rocksdb.edits import Edit, liker, plant_closed, timeline


@pytest.mark.parametrize(
    ("edits", "found"),
    [
        (
            [
                (keys.register("u1", "i1"), None),
                (timeline("u1", NEW_YEAR, "i1"), None),
                (liker("i1", NEW_YEAR, "u1"), None),
            ],
            "a like lost",
        ),
        ([(keys.register("u1", "i6"), row_to_bytes((5, None))), (timeline("u1", 5, "i6"), b"")], "invented"),
        (
            [
                (TIP, Tip(3, NEW_YEAR, 1, 3).to_bytes()),
                (keys.changes(4), None),
            ],
            "fold to another state",
        ),
        ([(keys.count("i1"), tally_to_bytes((7, 4)))], "is not the number of its likers"),
        ([(timeline("u2", NEW_YEAR + 2, "i2"), None)], "timeline u2"),
    ],
)
async def test_the_check_finds_what_a_crash_could_do(
    store: RocksStore, path: Path, url: str, edits: list[Edit], found: str
) -> None:
    history = await asked_and_answered(store)
    await store.close()
    plant_closed(path, edits)
    again = await open_store(url)
    assert any(found in problem for problem in await history.problems(again))
    await again.close()


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
async def test_a_gap_in_the_changes_is_an_error(store: RocksStore, path: Path, url: str, missing: int) -> None:
    history = await asked_and_answered(store)
    await store.close()
    plant_closed(path, [(keys.changes(missing), None)])
    again = await open_store(url)
    with pytest.raises(StoreFailed, match="changes are missing"):
        await history.problems(again)
    await again.close()
