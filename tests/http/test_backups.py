"""`POST /v1/backups`: for the service scope only, into the folder that the server was told, and nowhere else."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import likewise
from likewise.http import calls
from likewise.http.asgi import AsgiApp
from likewise.settings import Settings
from likewise.sync import Likes
from likewise.transfer import backups
from tests.http.conftest import Client
from tests.http.serving import Serving, refusal
from tests.http.test_calls import as_user
from tests.http.test_input import problem

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "backups"
    place.mkdir()
    return place


@pytest.fixture
def backing_up(tmp_path: Path, place: Path) -> Iterator[httpx.Client]:
    server = Serving(f"sqlite:{tmp_path / 'likes.db'}", LIKEWISE_BACKUPS=str(place))
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_a_backup_is_made_and_verified(backing_up: httpx.Client, place: Path, tmp_path: Path) -> None:
    for n in range(50):
        backing_up.put(f"/v1/items/x{n % 7}/like?user_id=u{n}")
    answer = backing_up.post("/v1/backups", json={"folder": "monday-1.2_3"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    made = answer.json()
    position = backing_up.get("/v1/stats").json()["position"]
    assert made["folder"] == str(place / "monday-1.2_3")
    assert made["report"] == {"likes": 50, "items": 7, "drifted": 0, "drift": [], "repaired": False}
    assert (made["manifest"]["likes"], made["manifest"]["position"]) == (50, position)
    assert backups.restore(place / "monday-1.2_3", f"sqlite:{tmp_path / 'new.db'}").likes == 50


def test_likes_go_on_meanwhile_and_nothing_answered_before_is_missing(
    backing_up: httpx.Client, place: Path, tmp_path: Path
) -> None:
    answered, done = 0, threading.Event()

    def like() -> None:
        nonlocal answered
        with httpx.Client(base_url=backing_up.base_url) as client:
            while not done.is_set():
                assert client.put(f"/v1/items/x/like?user_id=u{answered}").json()["count"] == answered + 1
                answered += 1

    liking = threading.Thread(target=like)
    liking.start()
    made: dict[str, Any] = {}
    for n in range(5):
        before = answered
        made = backing_up.post("/v1/backups", json={"folder": f"b{n}"}).json()
        assert before <= made["manifest"]["likes"] <= answered + 1
        assert made["report"]["drifted"] == 0
    done.set()
    liking.join()
    backups.restore(place / "b4", f"sqlite:{tmp_path / 'new.db'}")
    with Likes.open(f"sqlite:{tmp_path / 'new.db'}") as likes:
        assert likes.count("x").count == made["manifest"]["likes"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/tmp/x", "a/b", "a\\b", ".hidden", "-x", "a\n", "a\0", "ä", "x" * 101, 7, None]
)
def test_a_name_is_no_path(backing_up: httpx.Client, place: Path, tmp_path: Path, name: object) -> None:
    problem(backing_up.post("/v1/backups", json={"folder": name}), 422)
    assert list(place.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("likes.db")) == ["backups"]


def test_a_name_is_taken_once(backing_up: httpx.Client, place: Path) -> None:
    assert backing_up.post("/v1/backups", json={"folder": "x"}).status_code == 200
    before = (place / "x" / "backup.json").read_bytes()
    assert "is not empty" in str(problem(backing_up.post("/v1/backups", json={"folder": "x"}), 422)["detail"])
    assert (place / "x" / "backup.json").read_bytes() == before


def test_only_the_service_scope_may(backing_up: httpx.Client, place: Path) -> None:
    problem(backing_up.post("/v1/backups", json={"folder": "x"}, headers=as_user("alice")), 403)
    problem(backing_up.post("/v1/backups", json={"folder": "x"}, headers={"Origin": "https://evil.example"}), 403)
    assert list(place.iterdir()) == []


def test_without_a_place_for_them_none_are_made(client: Client) -> None:
    answer = problem(client.request("POST", "/v1/backups", json={"folder": "x"}), 422)
    assert "its setting backups" in str(answer["detail"])


def test_a_place_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    status, complaint = refusal("--store", f"sqlite:{tmp_path / 'likes.db'}", "--backups", str(tmp_path / "none"))
    assert status == 1
    assert "mkdir -p" in complaint
    assert "Traceback" not in complaint


async def test_a_server_that_stops_does_not_wait_for_a_backup(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOOK_UP_S", 0)
    async with likewise.Likes.open(f"sqlite:{tmp_path / 'likes.db'}") as likes:
        begun, cleaned_up = asyncio.Event(), asyncio.Event()

        async def endless(copy: Path) -> None:
            copy.touch()
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                for _ in range(50):  # cleans up, and must not be cancelled in that
                    await asyncio.sleep(0)
                copy.unlink()
                cleaned_up.set()
                raise

        monkeypatch.setattr(likes.store, "backup", endless)
        asgi = AsgiApp(likes, Settings(backups=str(place)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://127.0.0.1") as client:
            asking = asyncio.ensure_future(client.post("/v1/backups", json={"folder": "x"}))
            await begun.wait()
            asgi.app.draining = True
            assert "was not finished" in str(problem(await asking, 503)["detail"])
            assert cleaned_up.is_set()
    assert list(place.iterdir()) == []
