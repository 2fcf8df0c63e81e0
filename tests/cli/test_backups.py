"""`backup` and `restore`: what was there comes back, under a new epoch, and nothing that is there is ever lost."""

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from likewise import InvalidInput, Likes, Position
from likewise.errors import StoreFailed
from likewise.store import open_store
from likewise.store.url import FRUGAL, StoreUrl
from likewise.transfer import backups
from tests.http.serving import Serving
from tests.ops import like
from tests.tiers import TIERS, Tier

from . import nasa
from .conftest import Cli
from .test_care import break_count
from .test_import_real import EXPECTED, ROWS, check

pytestmark = pytest.mark.slow

DURABLE = [tier for tier in TIERS if tier.durable]


@pytest.fixture(params=DURABLE, ids=lambda tier: tier.name)
def tier(request: pytest.FixtureRequest) -> Tier:
    return request.param


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "backup.json").read_text())


def test_a_backup_comes_back_whole(cli: Cli, tier: Tier) -> None:
    store = tier.url(cli.folder)
    (cli.folder / "new").mkdir()
    new = tier.url(cli.folder / "new")
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)), "--store", store)
    answer = cli("backup", "monday", "--store", store)
    assert answer.out.startswith(f"backed up {len(EXPECTED.likes):,} likes to {cli.folder / 'monday'}, as of 20")
    assert "Everything agrees" in answer.out
    assert names(cli.folder / "monday") == ["backup.json", "store"]
    said = manifest(cli.folder / "monday")
    assert (said["scheme"], said["likes"], said["version"]) == (tier.name, len(EXPECTED.likes), "0.1.0")
    cli("like", "later", "x", "--store", store)
    answer = cli("restore", "monday", "--store", new)
    assert answer.out.startswith(f"restored {len(EXPECTED.likes):,} likes to {new}\n")
    check(new, EXPECTED)
    assert [name for name in names(cli.folder / "new") if not name.endswith("lock")] == [Path(new).name]
    assert cli("restore", "monday", "--store", tier.url(cli.folder / "new") + "-2", "--json").records[0]["drifted"] == 0


def test_positions_of_the_original_are_not_the_restored_ones(cli: Cli, tier: Tier) -> None:
    store = tier.url(cli.folder)
    cli("like", "alice", "post:1", "--store", store)
    assert cli("backup", "monday", "--store", store, "--json").records[0]["manifest"]["likes"] == 1
    later = cli("like", "alice", "post:2", "--store", store, "--json").records[0]["position"]
    restored = f"{tier.name}:restored"
    cli("restore", "monday", "--store", restored)
    own = cli("like", "bob", "post:3", "--store", restored, "--json").records[0]["position"]
    assert own != later
    assert own.split(":")[1] == later.split(":")[1]

    async def follow() -> None:
        async with Likes.open(restored) as likes:
            assert (await likes.changes(Position.parse(own))).items == []
            for old in (later, manifest(cli.folder / "monday")["position"]):
                with pytest.raises(InvalidInput, match="another store"):
                    await likes.changes(Position.parse(old))

    asyncio.run(follow())


def test_a_folder_with_something_in_it_is_refused(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    (cli.folder / "taken").mkdir()
    cli("backup", "taken")
    before = (cli.folder / "taken" / "backup.json").read_bytes()
    assert "is not empty" in cli("backup", "taken", code=1).err
    assert (cli.folder / "taken" / "backup.json").read_bytes() == before
    cli.write("file", "x")
    assert "cannot be made" in cli("backup", "file", code=1).err
    assert "cannot be made" in cli("backup", "no/such/place", code=1).err
    assert "keeps nothing" in cli("backup", "new", "--store", "memory:", code=1).err
    assert "there is no store" in cli("backup", "new", "--store", "sqlite:typo.db", code=1).err
    assert not (cli.folder / "new").exists()


def test_what_is_there_is_not_restored_over(cli: Cli, tier: Tier) -> None:
    store = tier.url(cli.folder)
    cli("like", "alice", "post:1", "--store", store)
    cli("backup", "monday", "--store", store)
    cli("like", "alice", "post:2", "--store", store)
    assert "exists already, and stays as it is" in cli("restore", "monday", "--store", store, code=1).err
    assert cli("count", "post:2", "--store", store).out.split() == ["1", "post:2"]


def test_what_appears_while_it_is_restored_is_not_replaced(
    cli: Cli, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cli.folder / "new").mkdir()
    new = Path(tier.url(cli.folder / "new").partition(":")[2])
    cli("like", "alice", "post:1", "--store", tier.url(cli.folder))
    cli("backup", "monday", "--store", tier.url(cli.folder))
    synced = backups.sync
    for appears in (Path.touch, Path.mkdir):

        def sync(path: Path, appears: Callable[[Path], None] = appears) -> None:
            if not os.path.lexists(new):
                appears(new)
                if new.is_dir():
                    (new / "precious").touch()
            synced(path)

        with monkeypatch.context() as patch:
            patch.setattr(backups, "sync", sync)
            patch.setattr(backups, "_check_free", lambda place: None)  # as if it appeared right behind the last look
            error = cli("restore", "monday", "--store", tier.url(cli.folder / "new"), code=1).err
        assert "exists already, and stays as it is" in error
        assert names(cli.folder / "new") == [new.name]
        if new.is_dir():
            assert names(new) == ["precious"]
        else:
            assert new.read_bytes() == b""
            new.unlink()


def test_a_file_is_restored_where_there_are_no_links(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*paths: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    cli("like", "alice", "post:1")
    cli("backup", "monday")
    monkeypatch.setattr(backups.os, "link", link)
    cli("restore", "monday", "--store", "sqlite:new.db")
    assert cli("count", "post:1", "--store", "sqlite:new.db").out.split() == ["1", "post:1"]


def test_a_copy_that_could_not_be_closed_is_no_store(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its log still has would be missing from the file."""
    cli("like", "alice", "post:1")
    cli("backup", "monday")
    before = names(cli.folder)
    opened = backups.open_store

    async def stays_open(url: str) -> Any:
        reading = apsw.Connection(str(StoreUrl.parse(url).path))
        left.append(reading)
        store = await opened(url)
        reading.execute("begin; select * from notes limit 1").fetchall()
        await store.remember("hot", b"note")
        return store

    left: list[apsw.Connection] = []
    with monkeypatch.context() as patch:
        patch.setattr(backups, "open_store", stays_open)
        assert "could not be closed" in cli("restore", "monday", "--store", "sqlite:new.db", code=1).err
        assert "could not be closed" in cli("backup", "tuesday", code=1).err
    for connection in left:
        connection.close()
    assert names(cli.folder) == before


def test_what_a_database_left_behind_does_not_get_into_the_restored_one(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    cli("backup", "monday")
    cli.write("new.db-wal", "frames of another time")
    assert "new.db-wal exists already" in cli("restore", "monday", "--store", "sqlite:new.db", code=1).err


def test_a_backup_is_restored_as_what_it_was(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    cli("backup", "monday")
    for other in ("rocksdb:new", "memory:"):
        error = cli("restore", "monday", "--store", other, code=1).err
        assert "is a backup of a sqlite: store" in error
        assert f"likewise move sqlite:… {other}" in error


def test_what_is_no_backup_is_said(cli: Cli) -> None:
    (cli.folder / "empty").mkdir()
    assert "is no backup, or one that was not finished" in cli("restore", "empty", "--store", "sqlite:n", code=1).err
    cli("like", "alice", "post:1")
    cli("backup", "monday")
    (cli.folder / "monday" / "backup.json").write_text('{"scheme":')
    assert "cannot be read" in cli("restore", "monday", "--store", "sqlite:n", code=1).err
    assert not (cli.folder / "n").exists()


def test_drift_is_copied_and_said(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    break_count(cli.folder / "likes.db")
    answer = cli("backup", "monday", code=1)
    assert "counts of post:1: says 41, and 1 like it" in answer.out
    assert "likewise verify" in answer.err
    assert "says 41" in cli("restore", "monday", "--store", "sqlite:new.db", code=1).out
    cli("verify", "--repair", "--store", "sqlite:new.db")
    assert cli("count", "post:1", "--store", "sqlite:new.db").out.split() == ["1", "post:1"]


def damage(path: Path) -> None:
    """Zero the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : 3 * len(content) // 4] = bytes(3 * len(content) // 4 - len(content) // 4)
    path.write_bytes(content)


def test_a_copy_that_cannot_be_read_is_said_and_removed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)))
    opened = backups.open_store

    async def damaged(url: str) -> Any:
        damage(cli.folder / "monday" / "store")
        return await opened(url)

    monkeypatch.setattr(backups, "open_store", damaged)
    assert "the copy is damaged and was removed" in cli("backup", "monday", code=1).err
    assert not (cli.folder / "monday").exists()
    check("sqlite:likes.db", EXPECTED)


def test_a_damaged_backup_is_not_restored(cli: Cli) -> None:
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)))
    cli("backup", "monday")
    shutil.copytree("monday", "tuesday")
    damage(cli.folder / "tuesday" / "store")
    before = names(cli.folder)
    assert "tuesday cannot be restored" in cli("restore", "tuesday", "--store", "sqlite:new.db", code=1).err
    connection = apsw.Connection("monday/store")
    connection.execute("update notes set value = 7 where key = 'likes'").fetchall()
    connection.close()
    error = cli("restore", "monday", "--store", "sqlite:new.db", code=1).err
    assert "it has 7 likes" in error
    assert "Use another backup" in error
    assert names(cli.folder) == before


SLOWLY = """
import time
from likewise.cli import main
from likewise.transfer import backups

def link(*names):
    print("about to", flush=True)
    time.sleep(60)
backups.os.link = link
main()
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_restore_leaves_no_half_store(cli: Cli, how: signal.Signals) -> None:
    cli("like", "alice", "post:1")
    cli("backup", "monday")
    command = [sys.executable, "-c", SLOWLY, "restore", "monday", "--store", "sqlite:new.db"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "about to\n"
    process.send_signal(how)
    process.communicate(timeout=30)
    assert not [name for name in names(cli.folder) if name.startswith("new.db")]
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert not [name for name in names(cli.folder) if "new.db" in name]
    cli("restore", "monday", "--store", "sqlite:new.db")
    assert cli("count", "post:1", "--store", "sqlite:new.db").out.split() == ["1", "post:1"]


@pytest.fixture
def server(cli: Cli, tier: Tier) -> Iterator[Serving]:
    (cli.folder / "backups").mkdir()
    server = Serving(tier.url(cli.folder), "--backups", str(cli.folder / "backups"))
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_a_running_server_backs_up(cli: Cli, server: Serving, tier: Tier) -> None:
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)), "--url", server.url)
    made = cli("backup", "monday", "--url", server.url, "--json").records[0]
    assert made["folder"] == str(cli.folder / "backups" / "monday")
    assert made["manifest"]["likes"] == made["report"]["likes"] == len(EXPECTED.likes)
    assert "is not empty" in cli("backup", "monday", "--url", server.url, code=1).err
    assert "restore needs the store itself" in _restore_with_url(cli, server)
    restored = f"{tier.name}:restored"
    cli("restore", made["folder"], "--store", restored)
    check(restored, EXPECTED)


def _restore_with_url(cli: Cli, server: Serving) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIKEWISE_URL", server.url)
        return cli("restore", "backups/monday", code=1).err


def test_a_store_in_use_says_how_to_back_it_up(cli: Cli, server: Serving, tier: Tier) -> None:
    assert f"--url {server.url}" in cli("backup", "monday", "--store", tier.url(cli.folder), code=1).err


def test_of_two_backups_of_one_name_one_is_made(cli: Cli, tier: Tier) -> None:
    """Whoever comes second is refused, and takes nothing from the first."""
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)), "--store", tier.url(cli.folder))

    async def work() -> None:
        store = await open_store(tier.url(cli.folder))
        for turns in (0, 1, 3, 10, 30, 100):
            if turns % 2:
                (cli.folder / "monday").mkdir()
            first = asyncio.ensure_future(backups.back_up(store, cli.folder / "monday"))
            for _ in range(turns):
                await asyncio.sleep(0)
            second = asyncio.ensure_future(backups.back_up(store, cli.folder / "monday"))
            await asyncio.wait((first, second))
            assert names(cli.folder / "monday") == ["backup.json", "store"]
            made, refused = sorted((first, second), key=lambda task: task.exception() is not None)
            assert made.result().manifest.likes == len(EXPECTED.likes)
            with pytest.raises(InvalidInput, match="not empty"):
                refused.result()
            url = f"{tier.name}:restored-{turns}"
            assert (await asyncio.to_thread(backups.restore, cli.folder / "monday", url)).likes == len(EXPECTED.likes)
            shutil.rmtree(cli.folder / "monday")
        await store.close()

    asyncio.run(work())


def test_what_was_there_outlives_a_backup_that_fails(cli: Cli, tier: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    (cli.folder / "real").mkdir()
    (cli.folder / "monday").symlink_to("real")
    cli("like", "alice", "post:1", "--store", tier.url(cli.folder))
    opened = backups.open_store

    async def fails(url: str) -> Any:
        await (await opened(url)).close()
        cli.write("real/foreign", "precious")
        raise StoreFailed("no")

    with monkeypatch.context() as patch:
        patch.setattr(backups, "open_store", fails)
        assert "was removed: no" in cli("backup", "monday", "--store", tier.url(cli.folder), code=1).err
    assert (cli.folder / "monday").is_symlink()
    assert names(cli.folder / "real") == ["foreign"]
    (cli.folder / "real" / "foreign").unlink()
    cli("backup", "monday", "--store", tier.url(cli.folder))
    assert names(cli.folder / "real") == ["backup.json", "store"]


def test_what_appears_in_the_folder_meanwhile_stays(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("like", "alice", "post:1")
    opened = backups.open_store

    async def beside(url: str) -> Any:
        cli.write("monday/foreign", "precious")
        return await opened(url)

    monkeypatch.setattr(backups, "open_store", beside)
    cli("backup", "monday")
    assert names(cli.folder / "monday") == ["backup.json", "foreign", "store"]


def test_a_folder_that_another_backup_has_is_refused(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    (cli.folder / "monday").mkdir()
    cli.write("monday/unfinished", "")
    assert "is not empty" in cli("backup", "monday", code=1).err
    assert names(cli.folder / "monday") == ["unfinished"]


def test_a_copy_of_too_little_is_no_backup(cli: Cli, tier: Tier) -> None:
    """It agrees with itself, so verifying it finds nothing."""
    cli("like", "alice", "post:1", "--store", tier.url(cli.folder))

    async def work() -> None:
        store, other = await open_store(tier.url(cli.folder)), await open_store(f"{tier.name}:other")
        early = cli.folder / "early"
        await store.backup(early)
        await store.apply([like("alice", "post:2")])

        async def of_another(copy: Path) -> None:
            await other.backup(copy)

        async def of_the_past(copy: Path) -> None:
            early.rename(copy)

        with pytest.MonkeyPatch.context() as patch:
            for wrong in (of_another, of_the_past):
                patch.setattr(store, "backup", wrong)
                with pytest.raises(StoreFailed, match="the copy ends at"):
                    await backups.back_up(store, cli.folder / "monday")
                assert not (cli.folder / "monday").exists()
        await backups.back_up(store, cli.folder / "monday")
        await other.close()
        await store.close()

    asyncio.run(work())


@pytest.mark.parametrize("times", [1, 3])
def test_a_backup_cancelled_at_any_moment_leaves_nothing(cli: Cli, tier: Tier, times: int) -> None:
    """A server that stops waits for no copy that nobody will hear of."""
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)), "--store", tier.url(cli.folder))

    async def work() -> int:
        store = await open_store(tier.url(cli.folder))
        cancelled = 0
        for turns in (0, 1, 2, 3, 5, 10, 30, 100, 300, 1_000, 3_000):
            making = asyncio.ensure_future(backups.back_up(store, cli.folder / "monday"))
            for _ in range(turns):
                await asyncio.sleep(0)
            for _ in range(times):
                making.cancel()
                await asyncio.sleep(0)
            await asyncio.wait((making,))
            if making.cancelled():
                cancelled += 1
                assert not (cli.folder / "monday").exists(), turns
            else:
                shutil.rmtree(cli.folder / "monday")
        assert (await store.verify()).drifted == 0
        await store.close()
        return cancelled

    assert asyncio.run(work()) > 5


def test_a_copy_that_is_opening_is_closed_however_often_its_backup_is_cancelled(
    cli: Cli, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = backups.open_store
    urls: list[str] = []

    async def work() -> None:
        opening, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(url: str) -> Any:
            urls.append(url)
            opening.set()
            await go_on.wait()
            return await opened(url)

        monkeypatch.setattr(backups, "open_store", slowly)
        store = await open_store(tier.url(cli.folder))
        making = asyncio.ensure_future(backups.back_up(store, cli.folder / "monday"))
        await opening.wait()
        for _ in range(3):
            making.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not making.done()
        go_on.set()
        await asyncio.wait((making,))
        assert making.cancelled()
        assert not (cli.folder / "monday").exists()
        await store.close()

    asyncio.run(work())
    assert [StoreUrl.parse(url).query for url in urls] == [FRUGAL[tier.name]]
