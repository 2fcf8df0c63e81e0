"""The commands that copy whole stores: backup, restore, move."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..errors import SetupError
from ..logs import configure
from ..store import open_store
from ..store.contract import Store
from ..store.url import StoreUrl
from ..transfer import backups, moving
from ..transfer.backups import Backup
from ..transfer.moving import Checked
from .output import likes_in_words, say, say_json, say_report
from .progress import bar
from .target import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    Target,
    TokenOption,
    UrlOption,
    needs_the_file,
    open_likes,
    target_of,
)


def backup(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A new folder; with --url its name on the server.")],
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the store into DIR, also while a server works on it, and verify the copy. Exits with 1 if it disagrees."""
    made = asyncio.run(_backup(target_of(store, url, token), folder))
    if as_json:
        say_json(msgspec.to_builtins(made))
    else:
        manifest = made.manifest
        say(f"backed up {likes_in_words(manifest.likes)} to {made.folder}, as of {manifest.taken_at}")
        say_report(made.report)
    if made.report.drifted:
        typer.echo("The store itself may disagree with its likes: look with `likewise verify`.", err=True)
        raise typer.Exit(1)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `likewise backup` made.")],
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="A new store.", show_default=DEFAULT_STORE)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new store of a backup, and verify it. A store that is there already is never touched."""
    configure("text")
    name = needs_the_file(target_of(store, None), "restore")
    report = backups.restore(folder, name)
    if as_json:
        say_json(msgspec.to_builtins(report))
    else:
        say(f"restored {likes_in_words(report.likes)} to {name}")
        say_report(report)
    if report.drifted:
        raise typer.Exit(1)


def move(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The store to move; it is left as it is.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A new store, of any kind.")],
    as_json: JsonOption = False,
) -> None:
    """Copy all likes of one store into another, and compare the two. Interrupted, it goes on when run again."""
    checked = asyncio.run(_move(source, target))
    if as_json:
        say_json(msgspec.to_builtins(checked))
    else:
        _say_moved(checked, target)
    if not checked.good:
        raise typer.Exit(1)


async def _backup(target: Target, folder: str) -> Backup:
    if target.url is not None:
        from ..client import RemoteLikes

        remote = RemoteLikes(target.url, target.token)
        try:
            return await remote.backup(folder)
        finally:
            await remote.close()
    likes = await open_likes(target.store)
    try:
        return await backups.back_up(likes.store, Path(folder))
    finally:
        await likes.close()


async def _move(source: str, target: str) -> Checked:
    _check_can_move(source, target)
    async with _opened(source) as here, _opened(target) as there:
        likes = (await here.stats()).likes
        note = await moving.begin(here, there)
        if note.likes:
            typer.echo(f"going on behind the first {likes_in_words(note.likes)}", err=True)
        try:
            with bar("moving", likes) as progress:
                await moving.move(here, there, note, progress)
            with bar("comparing", likes) as progress:
                return await moving.check(here, there, progress)
        except asyncio.CancelledError:
            typer.echo(f"stopped after {likes_in_words(note.likes)}. Run it again to go on.", err=True)
            raise


def _check_can_move(source: str, target: str) -> None:
    here, there = _place(source), _place(target)
    if not here.exists():
        raise SetupError(f"there is no store {here.absolute()} to move from.")
    if there.exists() and there.samefile(here):
        raise SetupError(f"{source} and {target} are the same store. Name a new one to move into.")


def _place(store: str) -> Path:
    """Where a store is on disk. Raises SetupError for one that is nowhere."""
    path = StoreUrl.parse(store).path
    if path is None:
        raise SetupError(f"{store} keeps nothing, so there is nothing to move from it or into it.")
    return path


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[Store]:
    configure("text")
    store = await open_store(url)
    try:
        yield store
    finally:
        await store.close()


def _say_moved(checked: Checked, target: str) -> None:
    if checked.different:
        say(f"{checked.different:,} of {likes_in_words(checked.likes)} differ in {target}:")
        for difference in checked.differences:
            say(f"  {difference.id} {difference.detail}")
        if checked.different > len(checked.differences):
            say(f"  … and {checked.different - len(checked.differences):,} more")
        say(f"Was {target} in use meanwhile? Remove it, and move into a new store.")
    else:
        say(f"moved {likes_in_words(checked.likes)} to {target}, and compared them one by one: all are the same.")
    say_report(checked.report)
