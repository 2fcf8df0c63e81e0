"""like, unlike, count, status, likers, likes, forget: for people, for programs, and when something is wrong."""

import pytest

from .conftest import Cli


def test_a_like_is_made_once_and_undone_once(cli: Cli) -> None:
    assert cli("like", "alice", "post:42").out == "alice likes post:42 (1 like)\n"
    assert cli("like", "alice", "post:42").out == "alice already likes post:42 (1 like)\n"
    assert cli("like", "bob", "post:42").out == "bob likes post:42 (2 likes)\n"
    assert cli("unlike", "alice", "post:42").out == "alice no longer likes post:42 (1 like)\n"
    assert cli("unlike", "alice", "post:42").out == "alice did not like post:42 (1 like)\n"


def test_strict_fails_where_there_is_nothing_to_do(cli: Cli) -> None:
    cli("like", "alice", "post:42", "--strict")
    assert cli("like", "alice", "post:42", "--strict", code=1).err == "likewise: alice already likes post:42\n"
    cli("unlike", "alice", "post:42", "--strict")
    assert cli("unlike", "alice", "post:42", "--strict", code=1).err == "likewise: alice does not like post:42\n"


def test_counts_come_in_the_order_asked(cli: Cli) -> None:
    cli("like", "alice", "post:1")
    assert cli("count", "post:2", "post:1", "post:2").out.split() == ["0", "post:2", "1", "post:1", "0", "post:2"]
    assert cli("count", "post:1", "--user", "alice", "--json").records == [
        {"item_id": "post:1", "count": 1, "exact": True, "liked": True}
    ]


def test_status_says_since_when(cli: Cli) -> None:
    liked_at = cli("like", "alice", "post:1", "--json").records[0]["liked_at"]
    assert cli("status", "alice", "post:1", "post:2").out == (
        f"alice likes post:1 since {liked_at}\nalice does not like post:2\n"
    )
    assert cli("status", "alice", "post:2", "--json").records == [
        {"user_id": "alice", "item_id": "post:2", "liked": False, "liked_at": None}
    ]


def test_lists_are_newest_first_and_bounded(cli: Cli) -> None:
    rows = "".join(f"user:{n:03},post:1,{1_000 + n}\n" for n in range(250))
    cli("import", cli.write("rows.csv", "user_id,item_id,liked_at\n" + rows))
    newest_first = [f"user:{n:03}" for n in reversed(range(250))]
    assert [record["user_id"] for record in cli("likers", "post:1", "--all", "--json").records] == newest_first
    assert [record["user_id"] for record in cli("likers", "post:1", "--limit", "120", "--json").records] == (
        newest_first[:120]
    )
    some = cli("likers", "post:1")
    assert len(some.out.splitlines()) == 20
    assert "--all" in some.err
    assert cli("likers", "nothing").out == ""


def test_a_users_likes_can_be_of_one_type(cli: Cli) -> None:
    cli("like", "alice", "post:1", "--type", "post")
    cli("like", "alice", "photo:1", "--type", "photo")
    cli("like", "alice", "thing")
    assert [record["item_id"] for record in cli("likes", "alice", "--json").records] == ["thing", "photo:1", "post:1"]
    assert cli("likes", "alice", "--type", "photo").out.endswith("photo:1  (photo)\n")


def test_forgetting_corrects_counts(cli: Cli) -> None:
    for user in ("alice", "bob"):
        cli("like", user, "post:1")
        cli("like", user, "post:2")
    assert cli("forget-user", "alice").out == "forgot 2 likes of alice\n"
    assert cli("forget-item", "post:1", "--json").records == [{"item_id": "post:1", "likes_forgotten": 1}]
    assert [record["count"] for record in cli("count", "post:1", "post:2", "--json").records] == [0, 1]


@pytest.mark.parametrize("id_", ["ünïcode ♥ id", "a b,c\"d'e", "-dash", "[bold]rich[/bold]", "%s {0} $HOME", "x" * 256])
def test_ids_are_printed_as_they_are(cli: Cli, id_: str) -> None:
    cli("like", "--", id_, id_)
    assert f" {id_}\n" in cli("count", "--", id_).out
    assert cli("likers", "--json", "--", id_).records[0]["user_id"] == id_


@pytest.mark.parametrize("id_", ["", "x" * 257, "two\nlines", "\x1b[31m", "\udcff"])
def test_a_bad_id_is_refused_in_one_line(cli: Cli, id_: str) -> None:
    answer = cli("like", "alice", id_, code=1)
    assert answer.err.startswith("likewise: item_id: must ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["count", "x"], ["status", "a", "x"], ["verify"], ["export"], ["unlike", "a", "x"]]
)
def test_a_typo_in_the_stores_name_is_not_an_empty_store(cli: Cli, command: list[str]) -> None:
    answer = cli(*command, "--store", "sqlite:liks.db", code=1)
    assert "liks.db" in answer.err
    assert "--store" in answer.err
    assert list(cli.folder.iterdir()) == []


def test_what_is_no_store_is_said(cli: Cli) -> None:
    assert "names no store" in cli("like", "a", "b", "--store", "mysql:x", code=1).err
    cli.write("text.db", "this is no database, but it is long enough to look like one\n" * 100)
    assert "not a likewise database" in cli("count", "b", "--store", "sqlite:text.db", code=1).err


def test_the_store_comes_from_the_environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKEWISE_STORE", "sqlite:other.db")
    cli("like", "alice", "post:1")
    assert (cli.folder / "other.db").exists()
    assert cli("count", "post:1", "--store", "sqlite:other.db").out == "       1  post:1\n"


def test_a_store_named_by_flag_beats_a_server_in_the_environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKEWISE_URL", "http://127.0.0.1:1")  # nobody answers there
    store = ("--store", "sqlite:mine.db")
    cli("like", "alice", "post:1", *store)
    assert cli("count", "post:1", *store).out == "       1  post:1\n"
    assert cli("export", *store).out.count("\n") == 2
    assert "Everything agrees" in cli("verify", *store).out
    cli("import", cli.write("likes.csv", "user_id,item_id\nbob,post:1\n"), "--resume", *store)
    assert (cli.folder / "mine.db").exists()
    assert not (cli.folder / "likes.db").exists()


def test_a_server_named_in_any_way_beats_a_store_in_the_environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKEWISE_STORE", "sqlite:mine.db")
    cli("like", "alice", "post:1")
    assert "'ftp://x' is not a server's address" in cli("count", "post:1", "--url", "ftp://x", code=1).err
    monkeypatch.setenv("LIKEWISE_URL", "ftp://x")
    assert "'ftp://x' is not a server's address" in cli("count", "post:1", code=1).err
    monkeypatch.setenv("LIKEWISE_URL", "")  # as if it were not set
    assert cli("count", "post:1").out == "       1  post:1\n"


@pytest.mark.parametrize("command", [["verify"], ["export"], ["import", "likes.csv", "--resume"]])
def test_who_needs_the_file_says_which_variable_is_in_the_way(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("LIKEWISE_URL", "http://127.0.0.1:1")
    said = cli(*command, code=1).err
    assert "leave out --url and LIKEWISE_URL, or say --store" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", [["count", "x"], ["like", "a", "x"], ["verify"], ["export"], ["import", "x.csv"]])
def test_a_store_and_a_server_are_a_usage_error(cli: Cli, command: list[str]) -> None:
    said = cli(*command, "--store", "sqlite:likes.db", "--url", "http://127.0.0.1:1", code=2).err
    assert "--store names a store already" in said
    assert list(cli.folder.iterdir()) == []


def test_an_empty_store_is_not_the_default_one(cli: Cli) -> None:
    assert "names no store" in cli("like", "alice", "post:1", "--store", "", code=1).err
    assert list(cli.folder.iterdir()) == []


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    assert "No such command" in cli("cuont", code=2).err
    assert "ITEM" in cli("like", "alice", code=2).err
    assert "--limit" in cli("likers", "x", "--limit", "0", code=2).err
    assert cli("--version").out.startswith("likewise ")
