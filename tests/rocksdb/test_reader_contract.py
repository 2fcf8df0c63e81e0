"""A process that reads along keeps the contract: the suite, on a reader whose writes go over its link."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from likewise import Likes, Limits
from likewise.store.contract import Store
from tests.clocks import SetClock
from tests.contract import test_counts, test_outcomes
from tests.contract.test_changes import *  # noqa: F403
from tests.contract.test_identity import *  # noqa: F403
from tests.contract.test_notes import *  # noqa: F403
from tests.contract.test_pages import *  # noqa: F403
from tests.contract.test_scan import *  # noqa: F403
from tests.contract.test_summaries import *  # noqa: F403
from tests.rocksdb.pair import pair

pytestmark = pytest.mark.slow

OTHERWISE = {
    # A reader's counts say as of when they are; these two compare with counts of the present.
    "test_an_item_never_liked_has_no_likes_at_version_0",
    "test_an_item_unliked_by_all_keeps_its_version",
    # Unfit ops are refused before they travel, so that they take no microsecond of their own.
    "test_each_op_is_told_its_own_outcome",
}
globals().update(
    (name, test)
    for module in (test_counts, test_outcomes)
    for name, test in vars(module).items()
    if name.startswith("test_") and name not in OTHERWISE
)


@pytest.fixture
def store(folder: Path, clock: SetClock, runner: asyncio.Runner) -> Iterator[Store]:
    opened = pair(folder, clock)
    _, reader = runner.run(opened.__aenter__())
    yield reader
    runner.run(opened.__aexit__(None, None, None))


@pytest.fixture
def likes(store: Store, clock: SetClock) -> Likes:
    return Likes(store, clock=clock, limits=Limits(commit_ops_max=8))
