"""The face to granian: RSGI, where the hot path runs. A request is read only as far as its call asks for it."""

from collections.abc import Awaitable
from typing import Any

from granian.rsgi import ProtocolClosed  # pyright: ignore[reportPrivateImportUsage] - its only name

from ..errors import Fault, Malformed
from .app import App
from .messages import Reply, unreadable


class RsgiRequest:
    """An RSGI request. Its path arrives percent-decoded, with U+FFFD for bytes that are not UTF-8."""

    __slots__ = ("_headers", "_proto", "_scope", "method", "path", "query")

    def __init__(self, scope: Any, proto: Any) -> None:
        self._scope = scope
        self._proto = proto
        self._headers = scope.headers
        self.method: str = scope.method
        self.path: str = scope.path
        self.query: str = scope.query_string

    def header(self, name: str) -> str | None:
        if name == "host":
            return self._scope.authority or self._headers.get("host")
        value = self._headers.get(name)
        if value is None and name in self._headers:
            raise unreadable(name)
        return value

    def headers(self, name: str) -> list[str]:
        self.header(name)
        return [value for key, value in self._headers.items() if key == name]

    def has_body(self) -> bool:
        if (length := self._headers.get("content-length")) is not None:
            return length != "0"
        return "transfer-encoding" in self._headers or self._scope.http_version not in ("1", "1.0", "1.1")

    async def body(self, bytes_max: int) -> bytes | None:
        length = self._headers.get("content-length")
        try:
            if length is not None and length.isdigit():
                return await self._proto() if int(length) <= bytes_max else None
            chunks: list[bytes] = []
            async for chunk in self._proto:
                bytes_max -= len(chunk)
                if bytes_max < 0:
                    return None
                chunks.append(chunk)
            return b"".join(chunks)
        except ProtocolClosed:
            raise Malformed(Fault("", "the body ended before its announced length")) from None


class RsgiApp:
    """`App` for granian."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        if scope.proto != "http":
            proto.close(1003)
            return
        reply = await self._app.handle(RsgiRequest(scope, proto))
        if reply.stream is None:
            proto.response_bytes(reply.status, reply.headers, reply.body)
        else:
            await _stream(proto, reply)


async def _stream(proto: Any, reply: Reply) -> None:
    assert reply.stream is not None
    transport = proto.response_stream(reply.status, reply.headers)
    async for piece in reply.stream:
        sent: Awaitable[None] = transport.send_bytes(piece)
        await sent
