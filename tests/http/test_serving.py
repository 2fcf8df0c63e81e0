"""Starting and stopping: clear words at the start, nothing accepted is lost at the end."""

import json
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest

from likewise.sync import Likes
from tests.http.serving import Serving, refusal


def test_it_says_where_it_listens_what_it_keeps_and_what_to_try(tmp_path: Path) -> None:
    server = Serving(f"sqlite:{tmp_path / 'likes.db'}")
    assert server.process.stdout is not None
    lines = [server.process.stdout.readline() for _ in range(2)]
    assert server.stop() == 0
    assert f"curl -X PUT {server.url}/v1/items/" in lines[0]
    assert f"{server.url}/docs" in lines[1]


@pytest.mark.slow
@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
def test_it_listens_on_any_name_or_address_of_loopback(tmp_path: Path, host: str) -> None:
    server = Serving(f"sqlite:{tmp_path / 'likes.db'}", "--host", host)
    answer = httpx.get(f"{server.url}/livez")
    assert server.stop() == 0
    assert answer.status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_was_accepted_then_stops(tmp_path: Path, number: signal.Signals) -> None:
    """Clients like as fast as they can while the server is told to stop: what was answered is in the file, and no
    request ends without an answer once it was taken."""
    store = f"sqlite:{tmp_path / 'likes.db'}"
    server = Serving(store)
    answered: list[set[str]] = [set() for _ in range(8)]
    started = threading.Barrier(len(answered) + 1)

    def like_until_it_stops(k: int) -> None:
        with httpx.Client(base_url=server.url) as client:
            started.wait()
            for n in range(100_000):
                try:
                    answer = client.put("/v1/items/x/like", headers={"X-User-Id": f"{k}-{n}"})
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    assert answer.status_code == 503
                    assert int(answer.headers["retry-after"]) >= 1
                    return
                answered[k].add(f"{k}-{n}")

    threads = [threading.Thread(target=like_until_it_stops, args=(k,)) for k in range(len(answered))]
    for thread in threads:
        thread.start()
    started.wait()
    while sum(map(len, answered)) < 200:
        threads[0].join(0.01)
    assert server.stop(number) == 0, server.log
    for thread in threads:
        thread.join()

    with Likes.open(store) as likes:
        stored = {like.user_id for like in likes.likers_of("x")}
        assert set().union(*answered) <= stored
        assert likes.count("x").count == len(stored)
        assert likes.verify().drifted == 0


def test_a_second_server_on_the_same_file_is_told_where_the_first_one_serves(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'likes.db'}"
    server = Serving(store)
    status, complaint = refusal("--store", store, "--port", "0")
    assert httpx.put(f"{server.url}/v1/items/x/like", headers={"X-User-Id": "u"}).status_code == 200
    server.stop()
    assert status == 1
    assert f"--url {server.url}" in complaint
    assert "Traceback" not in complaint


def test_a_port_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, complaint = refusal("--store", f"sqlite:{tmp_path / 'likes.db'}", "--port", str(port))
    assert status == 1
    assert f"port {port} on 127.0.0.1 is in use" in complaint
    assert "--port" in complaint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--store", "mongodb://x"], "names no store"),
        (["--store", "sqlite:"], "name a file"),
        (["--store", "sqlite:{folder}/missing/likes.db"], "cannot write"),
        (["--store", "sqlite:{folder}/likes.db?cache=1"], "Known settings: cache_mb"),
        (["--store", "sqlite:{folder}/text.txt"], "not a likewise database"),
        (["--port", "99999"], "port must be"),
        (["--host", "no.such.host.invalid"], "refusing to listen"),
        (["--queue-ops-max", "0"], "queue_ops_max must be at least 1"),
        (["--queue-ops-max", "10"], "queue_ops_max must be at least commit_ops_max"),
        (["--host", "127.example.com"], "refusing to listen"),
        (["--log-format", "xml"], "log_format"),
        (["--config", "{folder}/missing.toml"], "cannot read settings"),
    ],
)
def test_a_set_up_that_cannot_work_says_what_to_change(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "text.txt").write_text("This is no database, but a text of some length. " * 100)
    status, complaint = refusal(*[argument.format(folder=tmp_path) for argument in arguments], cwd=tmp_path)
    assert status != 0
    assert words in complaint
    assert "Traceback" not in complaint


def test_settings_come_from_flags_then_environment_then_file(tmp_path: Path) -> None:
    config = tmp_path / "likewise.toml"
    config.write_text('log_format = "text"\naccess_log = true\nuser_header = "X-From-File"\n')
    server = Serving(
        f"sqlite:{tmp_path / 'likes.db'}",
        "--config",
        str(config),
        LIKEWISE_LOG_FORMAT="json",
        LIKEWISE_USER_HEADER="X-Env",
    )
    answer = httpx.put(f"{server.url}/v1/items/secret-item/like", headers={"X-Env": "secret-user"})
    server.stop()
    assert answer.status_code == 200
    (line,) = [json.loads(line) for line in server.log.splitlines()]
    assert (line["event"], line["route"], line["status"]) == ("request", "/v1/items/{item_id}/like", 200)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in server.log
