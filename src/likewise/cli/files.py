"""The commands `import` and `export`."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..errors import SetupError
from ..likes import Likes, Limits
from ..transfer.exporting import everything, of_user
from ..transfer.exporting import export as export_likes
from ..transfer.formats import STANDARD_STREAM, Format, Source, format_of
from ..transfer.importing import Import, Notebook, Totals
from ..transfer.reading import BATCH_OPS, Rejected
from .output import likes_in_words, say, say_json
from .progress import bar
from .target import URL, JsonOption, StoreOption, Target, TokenOption, UrlOption, open_likes, opened, target_of

REJECTED_SHOWN_MAX = 20
LIMITS = Limits(commit_ops_max=BATCH_OPS)

FormatOption = Annotated[
    Format | None, typer.Option("--format", help="The file's format, if its name does not tell.", show_default=False)
]


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV, NDJSON or Parquet; may be gzipped; - for stdin.")],
    format_: FormatOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted import of FILE ended.")] = False,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", metavar="FILE", help="Write the bad rows there, with line and reason.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if any row was bad.")] = False,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read likes from FILE. Safe to run twice; bad rows are reported by line and skipped."""
    target = target_of(store, url, token)
    if resume and (target.url is not None or file == STANDARD_STREAM):
        # A server keeps no notes for us, and a position kept here could be ahead of what it holds.
        raise SetupError(
            f"--resume needs a file, and a store in this process: leave out --url and {URL}, or say --store. Without "
            "--resume, an import begins at the beginning, which is safe: rows that were applied already change nothing."
        )
    chosen = format_of(file, format_)
    if chosen is Format.PARQUET and file == STANDARD_STREAM:
        raise SetupError("Parquet is read from its end, so it cannot come from stdin: name a file.")
    with _source(file) as source, _reporting(rejects, source) as rejected:
        totals = asyncio.run(_import(target, source, chosen, resume, rejected))
    if totals.rejected > REJECTED_SHOWN_MAX:
        typer.echo(f"… and {totals.rejected - REJECTED_SHOWN_MAX:,} more bad rows", err=True)
    if as_json:
        say_json(msgspec.to_builtins(totals))
    else:
        say(_in_words(totals))
    if strict and totals.rejected:
        raise typer.Exit(1)


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - for stdout.")] = STANDARD_STREAM,
    format_: FormatOption = None,
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="Only this user's likes.")] = None,
    store: StoreOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Write all likes to FILE, as `import` reads them."""
    target = target_of(store, url, token)
    if target.url is not None and user is None:
        raise SetupError(
            f"a server gives no list of everything. Export from its file (stop it, leave out --url and {URL}, or say "
            "--store), or one user's likes with --user."
        )
    chosen = format_of(file, format_)
    written = asyncio.run(_export(target, file, chosen, user))
    if file != STANDARD_STREAM:
        typer.echo(f"wrote {likes_in_words(written)} to {file}", err=True)


async def _import(target: Target, source: Source, format_: Format, resume: bool, rejected: "_Rejections") -> Totals:
    async with opened(target, create=True, limits=LIMITS) as service:
        notebook = None
        if isinstance(service, Likes) and source.path and not source.may_block:
            notebook = Notebook(service.store, source.path)
        with bar("importing", source.size, in_bytes=True) as progress:
            work = Import(service, notebook, rejected.add, lambda: progress(source.bytes_read))
            try:
                totals = await work.run(source, format_, resume=resume)
            except asyncio.CancelledError:
                again = "Run it again with --resume to go on." if notebook else "Run it again: that is safe."
                typer.echo(f"stopped after {work.totals.read:,} rows. {again}", err=True)
                raise
    if resume:
        behind = work.resumed_behind
        say_where = f"went on behind line {behind.lines:,}" if behind else "found nothing to resume; began at the start"
        typer.echo(say_where, err=True)
    return totals


async def _export(target: Target, file: str, format_: Format, user: str | None) -> int:
    if user is not None:
        async with opened(target) as service:
            return await export_likes(of_user(service, user), file, format_)
    likes = await open_likes(target.store)
    try:
        with bar("exporting", (await likes.stats()).likes) as progress:
            return await export_likes(everything(likes.store), file, format_, progress)
    finally:
        await likes.close()


@contextmanager
def _source(file: str) -> Generator[Source, None, None]:
    source = Source(file)
    try:
        yield source
    finally:
        source.close()


class _Rejections:
    """Shows the first bad rows, and writes all of them to a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("wb") if path else None
        self._shown = 0

    def add(self, row: Rejected) -> None:
        if self._shown < REJECTED_SHOWN_MAX:
            self._shown += 1
            typer.echo(f"line {row.line}: {row.reason}", err=True)
        if self._file:
            self._file.write(msgspec.json.encode(row._asdict()) + b"\n")

    def close(self) -> None:
        if self._file:
            self._file.close()


@contextmanager
def _reporting(path: Path | None, source: Source) -> Generator[_Rejections, None, None]:
    if path and source.path and path.exists() and path.samefile(source.path):
        raise SetupError(f"--rejects {path} is the file that is read; name another one.")
    rejections = _Rejections(path)
    try:
        yield rejections
    finally:
        rejections.close()


def _in_words(totals: Totals) -> str:
    return (
        f"{totals.read:,} rows read: {totals.liked:,} liked, {totals.unliked:,} unliked, "
        f"{totals.unchanged:,} unchanged, {totals.rejected:,} rejected"
    )
