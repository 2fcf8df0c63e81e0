"""A request and a reply, whatever the server in front."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from ..errors import Fault, Malformed

Headers = list[tuple[str, str]]


class Request(Protocol):
    """What the app needs of a request. `path` is percent-decoded, `query` is not."""

    method: str
    path: str
    query: str

    def header(self, name: str) -> str | None:
        """A header by its lower-case name. Raises Malformed for one that is not plain ASCII: to take it for missing
        could turn a user into nobody, or worse."""
        ...

    def headers(self, name: str) -> list[str]:
        """Every header of that lower-case name. Raises Malformed as `header` does."""
        ...

    def has_body(self) -> bool:
        """Whether a body follows, as far as the headers tell."""
        ...

    async def body(self, bytes_max: int) -> bytes | None:
        """The body; None if it is longer than `bytes_max`, and then it has not been held in memory."""
        ...


class Reply(NamedTuple):
    """An answer; with `stream` set, its body comes in pieces."""

    status: int
    headers: Headers
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


def unreadable(header: str) -> Malformed:
    """The error for a header that is not plain ASCII."""
    return Malformed(Fault(header, "must be plain ASCII; send other ids as user_id, percent-encoded, in the query"))
