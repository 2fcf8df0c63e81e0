"""What a command works on: a store in this process, or a running server. Both are a `Service`."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

import typer

from ..errors import SetupError
from ..likes import Likes, Limits
from ..logs import configure
from ..model import Count, Like, Op, Outcome, Page
from ..store.url import StoreUrl

T = TypeVar("T")

DEFAULT_STORE = "sqlite:likes.db"

STORE, URL, TOKEN = "LIKEWISE_STORE", "LIKEWISE_URL", "LIKEWISE_TOKEN"
"""The variables that stand in for the flags. typer does not read them: a flag beats the other flag's variable too."""

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help=f"The store to work on, or {STORE}.", show_default=DEFAULT_STORE),
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help=f"Work on a server, such as http://127.0.0.1:8080, or {URL}."),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", metavar="KEY", help=f"With --url: sent along as a bearer token, or {TOKEN}."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line, for programs.")]


class Service(Protocol):
    """What the commands need: `Likes` has it, and `client.RemoteLikes`."""

    async def like(
        self, user_id: str, item_id: str, *, item_type: str | None = None, strict: bool = False
    ) -> Outcome: ...

    async def unlike(self, user_id: str, item_id: str, *, strict: bool = False) -> Outcome: ...

    async def apply(self, ops: Iterable[Op]) -> list[Outcome]: ...

    async def forget_user(self, user_id: str) -> int: ...

    async def forget_item(self, item_id: str) -> int: ...

    async def liked_at(self, user_id: str, item_id: str) -> int | None: ...

    async def counts(self, item_ids: Sequence[str], user: str | None = None) -> list[Count]: ...

    async def likes_page(
        self, user_id: str, *, limit: int = 20, cursor: str | None = None, item_type: str | None = None
    ) -> Page[Like]: ...

    async def likers_page(self, item_id: str, *, limit: int = 20, cursor: str | None = None) -> Page[Like]: ...

    async def close(self) -> None: ...


class Target(NamedTuple):
    """A server if there is a `url`, else a store in this process."""

    store: str = DEFAULT_STORE
    url: str | None = None
    token: str | None = None


def target_of(store: str | None, url: str | None, token: str | None = None) -> Target:
    """What `--store`, `--url` and `--token` say, and the environment where they say nothing.

    A flag beats every variable; of the variables, the server's beats the store's. Both flags are a usage error.
    """
    if store is not None and url is not None:
        raise typer.BadParameter("--store names a store already; give one of the two", param_hint="--url")
    if store is None and url is None:
        store, url = os.environ.get(STORE) or None, os.environ.get(URL) or None
    return Target(DEFAULT_STORE if store is None else store, url, token or os.environ.get(TOKEN))


def run(target: Target, work: Callable[[Service], Coroutine[Any, Any, T]], *, create: bool = False) -> T:
    """Do `work` with the service that `target` names. Only with `create` is a missing store made."""

    async def with_service() -> T:
        async with opened(target, create=create) as service:
            return await work(service)

    return asyncio.run(with_service())


@asynccontextmanager
async def opened(
    target: Target, *, create: bool = False, limits: Limits | None = None
) -> AsyncGenerator[Service, None]:
    """The service that `target` names, closed at the end."""
    if target.url is not None:
        from ..client import RemoteLikes

        service: Service = RemoteLikes(target.url, target.token)
    else:
        service = await open_likes(target.store, create=create, limits=limits)
    try:
        yield service
    finally:
        await service.close()


async def open_likes(store: str, *, create: bool = False, limits: Limits | None = None) -> Likes:
    """Open a store in this process. A typo in its name must not look like a store where nobody likes anything."""
    configure("text")  # on stderr: stdout is for answers, and for exports
    path = StoreUrl.parse(store).path
    if path is not None and not create and not path.exists():
        raise SetupError(
            f"there is no store {path.absolute()}. Name yours with --store sqlite:FILE or rocksdb:FOLDER "
            f"(or {STORE}); `likewise like`, `import` and `serve` begin a new one."
        )
    return await Likes.open(store, limits=limits)


def needs_the_file(target: Target, command: str) -> str:
    """The store's URL, for a command that a server cannot do over HTTP. Raises SetupError if one was asked to."""
    if target.url is not None:
        raise SetupError(
            f"{command} needs the store itself: stop the server, and leave out --url and {URL}, or say --store."
        )
    return target.store
