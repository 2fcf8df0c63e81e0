"""A store on disk belongs to one process at a time, and whoever is refused it is told by whom and where to go."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from likewise.errors import StoreInUse
from likewise.store import open_store
from likewise.store.contract import Store
from tests.contract.conftest import Opener
from tests.elsewhere import opened_elsewhere
from tests.ops import like
from tests.tiers import Tier


@pytest.fixture
def url(tier: Tier, folder: Path) -> str:
    return tier.url(folder)


async def test_a_second_process_is_told_who_has_the_store(store: Store, reopened: Opener, url: str) -> None:
    said = opened_elsewhere(url)
    assert said.startswith("StoreInUse None")
    assert str(os.getpid()) in said


async def test_a_second_process_is_told_where_the_first_one_serves(store: Store, reopened: Opener, url: str) -> None:
    store.announce("http://127.0.0.1:8080")
    said = opened_elsewhere(url)
    assert said.startswith("StoreInUse http://127.0.0.1:8080")
    assert "--url http://127.0.0.1:8080" in said
    await store.apply([like("u", "i")])  # and the first one never noticed
    assert (await store.counts(["i"]))[0].count == 1


async def test_a_second_store_in_this_process_is_refused_as_well(store: Store, reopened: Opener, url: str) -> None:
    with pytest.raises(StoreInUse):
        await open_store(url)
    await store.apply([like("u", "i")])


async def test_a_closed_store_may_be_opened_by_another_process(store: Store, reopened: Opener, url: str) -> None:
    await store.close()
    assert opened_elsewhere(url) == "opened\n"


async def test_a_process_that_died_leaves_no_lock(store: Store, reopened: Opener, url: str) -> None:
    await store.close()
    died = f"import os, asyncio; from likewise.store import open_store\nasyncio.run(open_store({url!r})); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", died]).returncode == 9
    assert opened_elsewhere(url) == "opened\n"
