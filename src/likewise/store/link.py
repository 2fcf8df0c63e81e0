"""The link between two processes: methods of a store, called from another process over a connected socket.

A frame is its length in four bytes, then msgpack. Calls are numbered, so several can be under way. What arguments and
results are is read from the methods' annotations, and an error arrives as what it was raised as.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar, TypeVarTuple, get_type_hints

import msgspec
import structlog

from .. import errors
from ..errors import Fault, InvalidInput, LikewiseError, Overloaded, StoreFailed, Unavailable

R = TypeVar("R")
Arguments = TypeVarTuple("Arguments")

log = structlog.get_logger("likewise.link")

CALLS_MAX = 256
"""How many may be under way at once."""

FRAME_BYTES_MAX = 2**26
"""A hundred thousand ops. Whatever is longer did not come from us."""

GONE = "the process that writes is gone"
UNKNOWN = "whether it was done is not known, and asking again is safe"


class Failed(msgspec.Struct, array_like=True):
    """An error on its way."""

    kind: str
    message: str
    retry_after_s: int = 1
    faults: list[Fault] = []

    @classmethod
    def of(cls, error: Exception) -> "Failed":
        if not isinstance(error, LikewiseError):
            log.error("a call over the link failed", exc_info=error)
            return cls(LikewiseError.__name__, "the process that writes met a bug; its log has the details")
        faults = list(error.errors) if isinstance(error, InvalidInput) else []
        return cls(type(error).__name__, str(error), getattr(error, "retry_after_s", 1), faults)

    def error(self) -> LikewiseError:
        kind = getattr(errors, self.kind)
        if issubclass(kind, InvalidInput):
            return kind(*self.faults)
        return kind(self.message, self.retry_after_s) if issubclass(kind, Unavailable) else kind(self.message)


class Call(msgspec.Struct, array_like=True):
    """A frame to the process that is called."""

    number: int
    method: str
    arguments: msgspec.Raw


class Answer(msgspec.Struct, array_like=True):
    """A frame back; with `failed`, nothing else counts."""

    number: int
    result: msgspec.Raw
    failed: Failed | None = None


class Link:
    """The end that calls. `lost` is done once the other end is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._calls = 0
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self.lost = asyncio.ensure_future(self._take_answers())

    @classmethod
    async def over(cls, end: socket.socket) -> "Link":
        """A link over one end of a pair of stream sockets, which is the link's from now on."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    async def call(self, method: Callable[[Any, *Arguments], Awaitable[R]], *arguments: *Arguments) -> R:
        """What `method` returns over there. Raises what it raises; Unavailable if the other end is gone, Overloaded if
        too many calls are under way."""
        if self.lost.done():
            raise Unavailable(f"{GONE}; ask again in a moment")
        if len(self._waiting) >= CALLS_MAX:
            raise Overloaded(f"{CALLS_MAX} calls wait for the process that writes; ask again in a moment")
        self._calls = number = self._calls + 1
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(_frame(Call(number, method.__name__, msgspec.Raw(_encode(arguments)))))
            return signature(method).result.decode(await answer)
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        """Let go of the socket. Who still waits gets Unavailable."""
        self._writer.close()
        await self.lost

    async def _take_answers(self) -> None:
        try:
            while frame := await _read(self._reader):
                answer = _answers.decode(frame)
                waiting = self._waiting.get(answer.number)
                if waiting is None or waiting.done():  # whoever called has gone
                    continue
                if answer.failed:
                    waiting.set_exception(answer.failed.error())
                else:
                    waiting.set_result(answer.result)
        finally:
            self._writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Unavailable(f"{GONE}; {UNKNOWN}"))


async def answer(end: socket.socket, methods: Mapping[Callable[..., Any], Callable[..., Awaitable[Any]]]) -> None:
    """Answer calls that come over one end of a pair of stream sockets, until the other one is closed.

    `methods` says what is called for each of the methods that the other end names.
    """
    by_name = {method.__name__: (signature(method), does) for method, does in methods.items()}
    reader, writer = await asyncio.open_unix_connection(sock=end)
    free = asyncio.Semaphore(CALLS_MAX)

    async def answered(call: Call) -> None:
        try:
            kinds, does = by_name[call.method]
            frame = _frame(
                Answer(call.number, msgspec.Raw(_encode(await does(*kinds.arguments.decode(call.arguments)))))
            )
        except Exception as error:
            frame = _frame(Answer(call.number, NOTHING, Failed.of(error)))
        finally:
            free.release()
        writer.write(frame)

    try:
        async with asyncio.TaskGroup() as under_way:
            while frame := await _read(reader):
                await free.acquire()
                under_way.create_task(answered(_calls.decode(frame)))
                await writer.drain()  # a reader that takes no answers is asked for no further calls
    finally:
        writer.close()


class Signature(NamedTuple):
    """How to read what a method takes and returns."""

    arguments: "msgspec.msgpack.Decoder[Any]"
    result: "msgspec.msgpack.Decoder[Any]"


@cache
def signature(method: Callable[..., Any]) -> Signature:
    """Of a method, by its annotations."""
    hints = get_type_hints(method)
    result = hints.pop("return")
    return Signature(
        msgspec.msgpack.Decoder(tuple[tuple(hints.values())], dec_hook=_made), msgspec.msgpack.Decoder(result)
    )


def _made(kind: type[Any], value: Any) -> Any:
    return kind(value)


def _frame(content: Call | Answer) -> bytes:
    content_bytes = _encode(content)
    if len(content_bytes) > FRAME_BYTES_MAX:
        raise StoreFailed(f"{len(content_bytes):,} bytes are too many for one commit; lower commit_ops_max", 10)
    return len(content_bytes).to_bytes(4, "big") + content_bytes


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame; None at the end, however it comes."""
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        return await reader.readexactly(length) if length <= FRAME_BYTES_MAX else None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_calls = msgspec.msgpack.Decoder(Call)
_answers = msgspec.msgpack.Decoder(Answer)

NOTHING = msgspec.Raw(_encode(None))
