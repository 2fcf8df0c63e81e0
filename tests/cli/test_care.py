"""verify, doctor, bench."""

import json
import os
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from likewise import doctor
from likewise.doctor import Finding, Verdict
from likewise.sync import Likes

from .conftest import Cli


def break_count(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("update item_likes set likes = 41 where item_id = 'post:1' and rank = 0").fetchall()
    connection.close()


def test_verify_says_what_it_found(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    assert cli("verify").out == ("checked 1 like of 1 items: counts, timelines, lists of likers. Everything agrees.\n")
    break_count(cli.folder / "likes.db")
    found = cli("verify", code=1).out
    assert "counts of post:1: says 41, and 1 like it" in found
    assert "--repair" in found
    assert cli("verify", "--json", code=1).records[0]["drifted"] == 1
    assert "mended" in cli("verify", "--repair").out
    assert "Everything agrees" in cli("verify").out
    assert cli("count", "post:1").out.split() == ["1", "post:1"]


def test_verify_needs_the_file(cli: Cli) -> None:
    assert "--url" in cli("verify", "--url", "http://127.0.0.1:1", code=1).err


def test_a_store_in_use_is_refused_in_one_line(cli: Cli) -> None:
    with Likes.open("sqlite:likes.db"):
        answer = cli("like", "alice", "post:1", code=1)
    assert "likes.db is in use by process" in answer.err
    assert answer.err.count("\n") == 1


def findings(cli: Cli, *arguments: str, code: int = 0) -> dict[str, Finding]:
    records = cli("doctor", "--json", *arguments, code=code).records
    assert all(record["mend"] for record in records if record["verdict"] != "ok")
    return {record["check"]: Finding(**record | {"verdict": Verdict(record["verdict"])}) for record in records}


def test_doctor_finds_a_good_set_up_good(cli: Cli) -> None:
    found = findings(cli, "--port", "0")
    assert {finding.verdict for finding in found.values()} <= {Verdict.OK, Verdict.WARNING}
    assert set(found) >= {
        "python",
        "sqlite",
        "clock",
        "settings",
        "address",
        "folder",
        "disk",
        "file system",
        "store",
        "in use",
        "open files",
    }
    assert list(cli.folder.iterdir()) == []


def test_doctor_for_people(cli: Cli) -> None:
    answer = cli("doctor", "--store", "sqlite:no/such/folder/likes.db", "--port", "0", code=1)
    assert "problem  folder:" in answer.out
    assert "→ mkdir -p " in answer.out


def test_doctor_checks_settings(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "refusing to listen" in findings(cli, "--host", "0.0.0.0", code=1)["settings"].found
    config = cli.write("likewise.toml", "prot = 8080\n")
    assert "unknown setting 'prot'" in findings(cli, "--config", str(config), code=1)["settings"].found
    monkeypatch.setenv("LIKEWISE_PROT", "8080")
    assert "LIKEWISE_PROT" in findings(cli)["settings"].found
    monkeypatch.setenv("LIKEWISE_LIKES_VISIBLE_TO", "me")
    assert "'me'" in findings(cli, code=1)["settings"].found


def test_doctor_checks_the_address(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = findings(cli, "--port", port)["address"]
    assert found.verdict is Verdict.WARNING
    assert "listens there already" in found.found
    assert findings(cli, "--port", port)["address"].verdict is Verdict.OK


def test_doctor_looks_at_the_file_without_opening_it(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    assert "schema 1" in findings(cli)["store"].found
    cli.write("other.db", "not a database at all, but long enough" * 10)
    assert "not a likewise store" in findings(cli, "--store", "sqlite:other.db", code=1)["store"].found
    connection = apsw.Connection("foreign.db")
    connection.execute("create table t (x)").fetchall()
    connection.close()
    assert "not a likewise store" in findings(cli, "--store", "sqlite:foreign.db", code=1)["store"].found
    connection = apsw.Connection("likes.db")
    connection.execute("pragma user_version = 99").fetchall()
    connection.close()
    assert "Upgrade" in findings(cli, code=1)["store"].mend
    assert "names no store" in findings(cli, "--store", "mysql:x", code=1)["store"].found
    assert findings(cli, "--store", "memory:")["store"].verdict is Verdict.WARNING


def test_doctor_says_who_has_the_file(cli: Cli) -> None:
    with Likes.open("sqlite:likes.db"):
        found = findings(cli)["in use"]
        assert found.verdict is Verdict.WARNING
        assert str(os.getpid()) in found.found
    assert findings(cli)["in use"] == Finding("in use", Verdict.OK, "by nobody")
    lock = cli.folder / "likes.db-lock"
    lock.write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:8080"}))
    assert "--url http://127.0.0.1:8080" in findings(cli)["in use"].mend
    lock.write_text(json.dumps({"pid": 2**22 + 1, "url": None}))
    assert "ended unexpectedly" in findings(cli)["in use"].found
    lock.write_text('{"pid"')
    assert findings(cli)["in use"].verdict is Verdict.OK


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX links")
def test_doctor_looks_at_the_file_behind_a_link(cli: Cli) -> None:
    (cli.folder / "elsewhere").mkdir()
    (cli.folder / "link.db").symlink_to(Path("elsewhere") / "likes.db")
    with Likes.open("sqlite:link.db"):
        found = findings(cli, "--store", "sqlite:link.db")
        assert str(os.getpid()) in found["in use"].found
        assert found["folder"].found.startswith(str(cli.folder / "elsewhere"))
    (cli.folder / "other.db").hardlink_to(cli.folder / "elsewhere" / "likes.db")
    assert "hard links" in findings(cli, "--store", "sqlite:link.db", code=1)["store"].found


def test_doctor_looks_at_a_folder_without_opening_it(cli: Cli) -> None:
    url = "rocksdb:likes"
    assert "will be made" in findings(cli, "--store", url)["store"].found
    assert not (cli.folder / "likes").exists()
    cli("like", "alice", "post:1", "--store", url)
    assert "format 1" in findings(cli, "--store", url)["store"].found
    with Likes.open(url):
        assert str(os.getpid()) in findings(cli, "--store", url)["in use"].found
    (cli.folder / "likes" / "000099.sst").symlink_to("gone")  # listed, and dropped before it is looked at
    assert "format 1" in findings(cli, "--store", url)["store"].found
    (cli.folder / "likes" / "likewise.json").write_text('{"format": 99}')
    assert "another version" in findings(cli, "--store", url, code=1)["store"].found
    cli.write("others.txt", "precious")
    assert "other files" in findings(cli, "--store", "rocksdb:.", code=1)["store"].found


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:.", "is a folder"),
        ("rocksdb:likes?memory_mb=1", "memory_mb"),
        ("sqlite::memory:", "is called memory:"),
        ("memory:?x=1", "no settings"),
        ("sqlite:likes.db?cache_mb=0", "cache_mb"),
    ],
)
def test_doctor_knows_which_urls_would_not_open(cli: Cli, url: str, says: str) -> None:
    assert says in findings(cli, "--store", url, code=1)["store"].found


def test_doctor_knows_network_file_systems(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040share nfs4 rw 0 0\ntmpfs /tmp/x tmpfs rw 0 0\n"
    )
    assert doctor.check_file_system(tmp_path, mounts).verdict is Verdict.OK
    found = doctor.check_file_system(tmp_path / "my share" / "folder", mounts)
    assert (found.verdict, found.found) == (Verdict.WARNING, "nfs4, a network file system")
    assert doctor.check_file_system(tmp_path / "my share2", mounts).verdict is Verdict.OK
    assert doctor.check_file_system(Path("/tmp/x/y"), mounts).found == "tmpfs"
    assert doctor.check_file_system(tmp_path, tmp_path / "none").found.startswith("unknown")


def test_doctor_checks_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_clock(lambda: datetime(1970, 1, 2, tzinfo=UTC)).verdict is Verdict.WARNING
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    assert doctor.check_sqlite().verdict is Verdict.PROBLEM
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    assert "ulimit -n" in doctor.check_open_files().mend


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_doctor_finds_a_folder_that_cannot_be_written() -> None:
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: nobody else may look into its parents
        Path(folder).chmod(0o555)
        if root:  # whom permissions do not bind
            os.seteuid(65534)
        try:
            finding = doctor.check_folder(Path(folder))
        finally:
            if root:
                os.seteuid(0)
        Path(folder).chmod(0o755)
    assert finding.verdict is Verdict.PROBLEM
    assert "cannot be written" in finding.found


def test_bench_measures_and_leaves_nothing(cli: Cli) -> None:
    figures = cli("bench", "--seconds", "0.05", "--folder", ".", "--json").records
    assert len(figures) == 6
    assert all(figure["per_second"] > 0 for figure in figures)
    assert list(cli.folder.iterdir()) == []
    assert "/s" in cli("bench", "--seconds", "0.05").out
