"""The commands about likes: like, unlike, count, status, likers, likes, forget-user, forget-item."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from ..errors import LikewiseError, StrictConflict
from ..likes import COUNTS_MAX, in_slices
from ..model import PAGE_LIMIT_MAX, Like, Outcome, Page
from ..times import to_rfc3339
from .output import likes_in_words, say, say_json
from .target import JsonOption, Service, StoreOption, TokenOption, UrlOption, run, target_of

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="A user's id.")]
ItemArgument = Annotated[str, typer.Argument(metavar="ITEM", help="An item's id.")]
ItemsArgument = Annotated[list[str], typer.Argument(metavar="ITEM…", help="Items' ids.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="How many to list.")]
AllOption = Annotated[bool, typer.Option("--all", help="List all of them.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Fail if that is so already.")]


def like(
    user_id: UserArgument,
    item_id: ItemArgument,
    item_type: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="The item's type.")] = None,
    strict: StrictOption = False,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make it so that USER likes ITEM."""
    with _conflicts_named(user_id, item_id):
        outcome = run(
            target_of(store, url, token),
            lambda service: service.like(user_id, item_id, item_type=item_type, strict=strict),
            create=True,
        )
    _say_outcome(user_id, item_id, "likes" if outcome.changed is not False else "already likes", outcome, as_json)


def unlike(
    user_id: UserArgument,
    item_id: ItemArgument,
    strict: StrictOption = False,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make it so that USER does not like ITEM."""
    with _conflicts_named(user_id, item_id):
        outcome = run(target_of(store, url, token), lambda service: service.unlike(user_id, item_id, strict=strict))
    verb = "no longer likes" if outcome.changed is not False else "did not like"
    _say_outcome(user_id, item_id, verb, outcome, as_json)


def count(
    item_ids: ItemsArgument,
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="Also say what this user likes.")] = None,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """How many like each ITEM."""

    async def counts(service: Service) -> None:
        for some in in_slices(item_ids, COUNTS_MAX):
            for found in await service.counts(some, user):
                if as_json:
                    liked = {} if user is None else {"liked": found.liked}
                    say_json({"item_id": found.item_id, "count": found.count, "exact": found.exact, **liked})
                else:
                    say(f"{found.count:>8}  {found.item_id}" + (f"  (also {user})" if found.liked else ""))

    run(target_of(store, url, token), counts)


def status(
    user_id: UserArgument,
    item_ids: ItemsArgument,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Whether USER likes each ITEM, and since when."""

    async def statuses(service: Service) -> None:
        for item_id in item_ids:
            liked_at = await service.liked_at(user_id, item_id)
            if as_json:
                liked = {"liked": liked_at is not None, "liked_at": liked_at and to_rfc3339(liked_at)}
                say_json({"user_id": user_id, "item_id": item_id, **liked})
            elif liked_at is None:
                say(f"{user_id} does not like {item_id}")
            else:
                say(f"{user_id} likes {item_id} since {_when(liked_at)}")

    run(target_of(store, url, token), statuses)


def likers(
    item_id: ItemArgument,
    limit: LimitOption = 20,
    everything: AllOption = False,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who likes ITEM, newest first."""

    def show(like: Like) -> None:
        if as_json:
            say_json({"user_id": like.user_id, "liked_at": to_rfc3339(like.liked_at)})
        else:
            say(f"{_when(like.liked_at)}  {like.user_id}")

    async def pages(service: Service) -> None:
        await _list(lambda n, cursor: service.likers_page(item_id, limit=n, cursor=cursor), limit, everything, show)

    run(target_of(store, url, token), pages)


def likes(
    user_id: UserArgument,
    item_type: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only items of this type.")] = None,
    limit: LimitOption = 20,
    everything: AllOption = False,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """What USER likes, newest first."""

    def show(like: Like) -> None:
        if as_json:
            say_json({"item_id": like.item_id, "item_type": like.item_type, "liked_at": to_rfc3339(like.liked_at)})
        else:
            say(f"{_when(like.liked_at)}  {like.item_id}" + (f"  ({like.item_type})" if like.item_type else ""))

    async def pages(service: Service) -> None:
        def page(n: int, cursor: str | None) -> Awaitable[Page[Like]]:
            return service.likes_page(user_id, limit=n, cursor=cursor, item_type=item_type)

        await _list(page, limit, everything, show)

    run(target_of(store, url, token), pages)


def forget_user(
    user_id: UserArgument,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo every like of USER. Counts are corrected."""
    forgotten = run(target_of(store, url, token), lambda service: service.forget_user(user_id))
    _say_forgotten("user_id", user_id, forgotten, as_json)


def forget_item(
    item_id: ItemArgument,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo every like of ITEM."""
    forgotten = run(target_of(store, url, token), lambda service: service.forget_item(item_id))
    _say_forgotten("item_id", item_id, forgotten, as_json)


@contextmanager
def _conflicts_named(user_id: str, item_id: str) -> Generator[None, None, None]:
    """A strict call's conflict, with who and what in it."""
    try:
        yield
    except StrictConflict as error:
        raise LikewiseError(f"{user_id} {'already likes' if error.liked else 'does not like'} {item_id}") from error


def _say_forgotten(kind: str, id_: str, forgotten: int, as_json: bool) -> None:
    if as_json:
        say_json({kind: id_, "likes_forgotten": forgotten})
    else:
        say(f"forgot {likes_in_words(forgotten)} of {id_}")


def _say_outcome(user_id: str, item_id: str, verb: str, outcome: Outcome, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "user_id": user_id,
                "item_id": item_id,
                "liked": outcome.liked,
                "changed": outcome.changed,
                "liked_at": outcome.liked_at and to_rfc3339(outcome.liked_at),
                "count": outcome.count,
                "position": outcome.position and str(outcome.position),
            }
        )
    else:
        counted = "" if outcome.count is None else f" ({likes_in_words(outcome.count)})"
        say(f"{user_id} {verb} {item_id}{counted}")


async def _list(
    page: Callable[[int, str | None], Awaitable[Page[Like]]],
    limit: int,
    everything: bool,
    show: Callable[[Like], None],
) -> None:
    left = limit
    cursor: str | None = None
    while everything or left > 0:
        found = await page(PAGE_LIMIT_MAX if everything else min(left, PAGE_LIMIT_MAX), cursor)
        for like in found.items:
            show(like)
        left -= len(found.items)
        if (cursor := found.next_cursor) is None:
            return
    typer.echo(f"(the newest {limit}; --limit or --all lists more)", err=True)


def _when(time_us: int | None) -> str:
    return "an unknown time" if time_us is None else to_rfc3339(time_us)
