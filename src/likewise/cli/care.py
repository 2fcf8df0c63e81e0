"""The commands that look after a set-up: verify, doctor, bench."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..model import Report
from .output import say, say_json, say_report
from .target import JsonOption, StoreOption, UrlOption, needs_the_file, open_likes, target_of


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what disagrees with the likes.")] = False,
    store: StoreOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recount everything from the likes. Exits with 1 if something disagrees and was not mended."""
    report = asyncio.run(_verify(needs_the_file(target_of(store, url), "verify"), repair))
    if as_json:
        say_json(msgspec.to_builtins(report))
    else:
        say_report(report)
    if report.drifted and not report.repaired:
        raise typer.Exit(1)


async def _verify(store: str, repair: bool) -> Report:
    likes = await open_likes(store)
    try:
        return await likes.verify(repair)
    finally:
        await likes.close()


def doctor(
    store: StoreOption = None,
    host: Annotated[str | None, typer.Option("--host", help="The address to check.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="The port to check.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="A TOML file of settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with this set-up, and how to mend it. Exits with 1 on a problem."""
    from ..doctor import Verdict, examine

    marks = {Verdict.OK: ("ok", "green"), Verdict.WARNING: ("warning", "yellow"), Verdict.PROBLEM: ("problem", "red")}
    worst = Verdict.OK
    for finding in examine({"store": store, "host": host, "port": port}, os.environ, config):
        if as_json:
            say_json(msgspec.to_builtins(finding._asdict()))
        else:
            mark, colour = marks[finding.verdict]
            say(f"{typer.style(f'{mark:<8}', fg=colour)} {finding.check + ':':<13} {finding.found}")
            if finding.mend:
                say(" " * 23 + "→ " + finding.mend)
        if finding.verdict is Verdict.PROBLEM:
            worst = finding.verdict
    if worst is Verdict.PROBLEM:
        raise typer.Exit(1)


def bench(
    seconds: Annotated[float, typer.Option("--seconds", min=0.05, help="How long each measurement takes.")] = 2,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="The disk to measure; the likes there are removed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure this machine for a few seconds each: commits, likes, reads. Your store is not touched."""
    from .measure import measure

    for figure in measure(folder, seconds):
        if as_json:
            say_json(figure._asdict())
        else:
            say(f"{figure.what:<44} {figure.per_second:>12,.0f} /s   {figure.note}")
