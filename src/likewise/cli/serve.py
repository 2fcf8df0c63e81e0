"""The command `serve`: settings from flags, environment and file, then the HTTP server."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..settings import NAMES, Settings, load
from ..store.url import StoreUrl
from .target import DEFAULT_STORE


def serve(
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Where likes are kept.", show_default=DEFAULT_STORE)
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. Beyond loopback only with an --identity.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 picks a free one.")] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes: one that writes, the others read. rocksdb: only.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option(metavar="loopback|header", help="Who is calling: this machine's or a gateway's word.")
    ] = None,
    user_header: Annotated[str | None, typer.Option(metavar="NAME", help="The header that names the user.")] = None,
    likers_visible_to: Annotated[
        str | None, typer.Option(metavar="public|known|service", help="Who may list an item's likers.")
    ] = None,
    likes_visible_to: Annotated[
        str | None, typer.Option(metavar="public|known|owner|service", help="Who may list a user's likes.")
    ] = None,
    commit_ops_max: Annotated[int | None, typer.Option(metavar="N", help="Ops that share a commit at most.")] = None,
    queue_ops_max: Annotated[int | None, typer.Option(metavar="N", help="Ops that may wait for theirs.")] = None,
    cache_items_max: Annotated[int | None, typer.Option(metavar="N", help="Counts held in memory.")] = None,
    body_bytes_max: Annotated[int | None, typer.Option(metavar="N", help="The longest request body.")] = None,
    backups: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where backups go that are asked for over HTTP.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(metavar="text|json", help="How log lines are written.")] = None,
    access_log: Annotated[bool | None, typer.Option("--access-log/--no-access-log", help="Log every request.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="A TOML file of settings.")] = None,
) -> None:
    """Run the service until Ctrl-C. Every flag is also LIKEWISE_<NAME>, or a line of the --config file."""
    given = locals()
    settings = load({name: given[name] for name in NAMES}, os.environ, config)
    from ..http import server

    server.run(server.serve(settings, lambda url: _say_started(settings, url)))


def _say_started(settings: Settings, url: str) -> None:
    kept = settings.store if StoreUrl.parse(settings.store).path else "nowhere: memory only"
    processes = f" with {settings.workers} processes," if settings.workers > 1 else ""
    typer.echo(f"likewise listens on {url},{processes} and keeps likes in {kept}. Ctrl-C stops it.")
    typer.echo(f"  try   curl -X PUT {url}/v1/items/post:42/like -H '{_header(settings)}: alice'")
    typer.echo(f"  read  {url}/docs")
    sys.stdout.flush()  # into a pipe as well: whoever started us waits for this line


def _header(settings: Settings) -> str:
    return "-".join(word.capitalize() for word in settings.user_header.split("-"))
