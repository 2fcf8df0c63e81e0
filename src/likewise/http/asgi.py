"""The face to everything else: ASGI, to be mounted in an application, and for tests."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..likes import Likes
from ..settings import Settings
from .app import App
from .identity import ANONYMOUS, Caller, Identity
from .messages import Request, unreadable

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiRequest:
    """An ASGI request. `scope` is the application's own way to say who is calling."""

    __slots__ = ("_headers", "_receive", "method", "path", "query", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.method: str = scope["method"]
        root: str = scope.get("root_path", "")
        path: str = scope["path"]
        self.path = path[len(root) :] if root and path.startswith(root) else path
        self.query: str = scope.get("query_string", b"").decode(errors="surrogateescape")

    def header(self, name: str) -> str | None:
        values = self.headers(name)
        return values[0] if values else None

    def headers(self, name: str) -> list[str]:
        key = name.encode()
        values = [value for other, value in self._headers if other == key]
        if not all(value.isascii() for value in values):
            raise unreadable(name)
        return [value.decode() for value in values]

    def has_body(self) -> bool:
        length = self.header("content-length")
        return length != "0" if length is not None else self.header("transfer-encoding") is not None

    async def body(self, bytes_max: int) -> bytes | None:
        chunks: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            chunk = message.get("body", b"")
            bytes_max -= len(chunk)
            if bytes_max < 0:
                return None
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)


def from_scope(user: Callable[[Scope], str | None] | None) -> Identity:
    """An identity from the application around: `user` gives the user of an ASGI scope, or None for nobody."""

    def identity(request: Request) -> Caller:
        assert isinstance(request, AsgiRequest)
        user_id = user(request.scope) if user else None
        return Caller(user_id) if user_id else ANONYMOUS

    return identity


class AsgiApp:
    """`App` as an ASGI application."""

    def __init__(self, likes: Likes, settings: Settings | None = None, *, identity: Identity | None = None) -> None:
        self.app = App(likes, settings, identity)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        reply = await self.app.handle(AsgiRequest(scope, receive))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        if reply.stream is None and reply.status != 304:
            headers.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if reply.stream is not None and scope["method"] != "HEAD":
            async for piece in reply.stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing to do: whoever opened the `Likes` closes it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
