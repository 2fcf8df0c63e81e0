"""The same calls against both faces: the real server over a real socket, and the ASGI application in this process."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from likewise import Likes
from likewise.http.asgi import AsgiApp
from tests.http.serving import Serving


class Client(Protocol):
    """What the tests need of a client: `httpx.Client`'s request."""

    request: Callable[..., httpx.Response]


class AsgiClient:
    """An `httpx.AsyncClient` over an ASGI application, blocking."""

    def __init__(self, app: AsgiApp, runner: asyncio.Runner) -> None:
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
        self._runner = runner

    def request(self, method: str, url: str | httpx.URL, **kwargs: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, url, **kwargs))


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    server = Serving(f"sqlite:{tmp_path_factory.mktemp('http') / 'likes.db'}")
    yield server
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log


@pytest.fixture(scope="session")
def socket_client(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url) as client:
        yield client


@pytest.fixture(scope="session")
def asgi_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiClient]:
    with asyncio.Runner() as runner:
        path: Path = tmp_path_factory.mktemp("asgi") / "likes.db"

        async def opened() -> Likes:
            return await Likes.open(f"sqlite:{path}")

        likes = runner.run(opened())
        yield AsgiClient(AsgiApp(likes), runner)
        runner.run(likes.close())


@pytest.fixture(params=["socket", "asgi"])
def client(request: pytest.FixtureRequest) -> Client:
    return request.getfixturevalue(f"{request.param}_client")


class Names:
    """Ids that no other test uses: the stores live as long as the test session."""

    _next = count(1)

    def __getattr__(self, kind: str) -> str:
        return f"{kind}-{next(self._next)}"


@pytest.fixture
def new() -> Names:
    return Names()
