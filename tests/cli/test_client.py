"""`--url`: the same commands against a running server, which must say the same as against its file."""

import asyncio
import http.server
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from likewise import InvalidInput, LikewiseError, Op, Overloaded, PositionExpired, SetupError, Unavailable
from likewise.client import RemoteLikes

from . import nasa
from .conftest import Cli
from .test_import_real import EXPECTED, ROWS, check


@pytest.fixture
def server(cli: Cli) -> Iterator[str]:
    command = [sys.executable, "-m", "likewise", "serve", "--port", "0", "--store", "sqlite:served.db"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield line.split("listens on ")[1].split(",")[0]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_every_command_says_the_same_as_on_the_file(cli: Cli, server: str) -> None:
    commands = [
        ("like", "alicé", "post/4 2?", "--type", "post"),
        ("like", "alicé", "post/4 2?"),
        ("like", "bob", "post/4 2?"),
        ("like", "bob", "100%"),
        ("unlike", "bob", "100%"),
        ("unlike", "bob", "100%"),
        ("count", "post/4 2?", "100%", "never"),
        ("count", "post/4 2?", "--user", "alicé", "--json"),
        ("status", "alicé", "never"),
        ("likers", "never"),
        ("forget-user", "alicé"),
        ("forget-item", "post/4 2?"),
        ("count", "post/4 2?"),
        ("likes", "bob"),
    ]
    for command in commands:
        assert cli(*command, "--url", server).out == cli(*command).out, command
    for command in [("like", "x" * 257, "post:1"), ("count", "a\nb"), ("unlike", "bob", "never", "--strict")]:
        assert cli(*command, "--url", server, code=1).err == cli(*command, code=1).err, command


def test_times_and_types_come_back_exactly(cli: Cli, server: str) -> None:
    made = cli("like", "alice", "post:1", "--type", "post", "--url", server, "--json").records[0]
    assert (made["changed"], made["count"]) == (True, 1)
    assert made["position"]
    assert cli("likes", "alice", "--json", "--url", server).records == [
        {"item_id": "post:1", "item_type": "post", "liked_at": made["liked_at"]}
    ]
    assert cli("likers", "post:1", "--json", "--url", server).records[0]["liked_at"] == made["liked_at"]
    assert cli("status", "alice", "post:1", "--json", "--url", server).records[0]["liked_at"] == made["liked_at"]
    assert (
        cli("export", "--user", "alice", "--url", server).out.split("\n")[1] == f"alice,post:1,post,{made['liked_at']}"
    )
    assert "needs" in cli("verify", "--url", server, code=1).err
    assert "--user" in cli("export", "--url", server, code=1).err


def test_a_file_in_use_says_how_to_reach_its_server(cli: Cli, server: str) -> None:
    assert f"--url {server}" in cli("count", "x", "--store", "sqlite:served.db", code=1).err


def test_the_log_imported_over_http(cli: Cli) -> None:
    command = [sys.executable, "-m", "likewise", "serve", "--port", "0", "--store", "sqlite:served.db"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().split("listens on ")[1].split(",")[0]
    bad = b"1,x\x07y,bob\r\n"
    answer = cli("import", cli.write("log.csv", nasa.as_csv(ROWS) + bad), "--url", url, "--json")
    assert (answer.records[0]["liked"], answer.records[0]["rejected"]) == (len(EXPECTED.likes), 1)
    assert answer.err.startswith(f"line {len(ROWS) + 2}: item_id: must be UTF-8 without control characters")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    check("sqlite:served.db", EXPECTED)


def test_nobody_listens(cli: Cli) -> None:
    answer = cli("count", "x", "--url", "http://127.0.0.1:1", code=1)
    assert answer.err.startswith("likewise: no answer from http://127.0.0.1:1 (Connection refused).")
    for url in ("127.0.0.1:8080", "ftp://x", "http://", "http://x:port", "http://x/?a=1"):
        assert url in cli("count", "x", "--url", url, code=1).err


Reply = tuple[int, dict[str, str], bytes]


class Replies:
    """A server that gives prepared answers; keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, str, Any]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path, json.loads(body) if body else dict(self.headers)))
                status, headers, content = outer.replies.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def replies() -> Iterator[Replies]:
    replies = Replies()
    yield replies
    replies.server.shutdown()
    replies.server.server_close()


def problem(slug: str, status: int, retry_after: int | None = None) -> Reply:
    body = {"type": f"urn:likewise:problem:{slug}", "title": slug, "status": status, "detail": f"because {slug}"}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return status, headers, json.dumps(body).encode()


def ask(url: str, work: Callable[[RemoteLikes], Any], **options: Any) -> Any:
    async def run() -> Any:
        remote = RemoteLikes(url, **options)
        try:
            return await work(remote)
        finally:
            await remote.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (problem("invalid-input", 422), InvalidInput, "because invalid-input"),
        (problem("malformed", 400), InvalidInput, "because malformed"),
        (problem("forbidden", 403), SetupError, "--token"),
        (problem("unauthorized", 401), SetupError, "--token"),
        (problem("position-expired", 410), PositionExpired, "because"),
        (problem("too-many", 429, 7), Overloaded, "because"),
        (problem("unavailable", 503, 3), Unavailable, "because"),
        (problem("internal", 500), LikewiseError, "500"),
        ((200, {}, b"<html>hello</html>"), SetupError, "not likewise"),
        ((404, {}, b"<html>none</html>"), SetupError, "is that a likewise server?"),
        ((302, {"Location": "/login"}, b""), SetupError, "302"),
    ],
)
def test_problems_become_errors_again(replies: Replies, reply: Reply, error: type[Exception], says: str) -> None:
    replies.replies = [reply]
    with pytest.raises(error, match=says.replace("?", r"\?")) as caught:
        ask(replies.url, lambda remote: remote.counts(["x"]))
    if isinstance(caught.value, Unavailable):
        assert caught.value.retry_after_s in (3, 7)


def test_a_busy_server_is_asked_again(replies: Replies) -> None:
    good = (200, {}, b'{"outcomes":[{"changed":true,"liked":true}],"position":null}')
    replies.replies = [problem("unavailable", 503, 2), problem("too-many", 429, 99), good]
    waits: list[float] = []
    ops = [Op("a", "x", True, "post", 1), Op("", "x", True)]
    outcomes = ask(replies.url, lambda remote: remote.apply(ops), sleep=waits.append)
    assert waits == [2, 10]
    assert [outcome.error for outcome in outcomes] == [None, "user_id: must not be empty"]
    sent = {
        "user_id": "a",
        "item_id": "x",
        "liked": True,
        "item_type": "post",
        "liked_at": "1970-01-01T00:00:00.000001Z",
    }
    assert [asked[2] for asked in replies.asked] == [{"ops": [sent]}] * 3


def test_the_token_and_the_base_path_are_sent(replies: Replies) -> None:
    replies.replies = [(200, {}, b'{"items":[],"next_cursor":null}')]
    ask(replies.url + "/likes/", lambda remote: remote.likers_page("a/b"), token="secret")
    method, path, headers = replies.asked[0]
    assert (method, path) == ("GET", "/likes/v1/items/a%2Fb/likers?limit=20")
    assert headers["Authorization"] == "Bearer secret"
