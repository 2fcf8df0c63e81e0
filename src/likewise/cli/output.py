"""How the commands print: plain lines for people, JSON lines for programs. Ids are printed as they are."""

from typing import Any

import msgspec
import typer

from ..model import Report


def say(line: str) -> None:
    """A line for people."""
    typer.echo(line)


def say_json(record: Any) -> None:
    """A record for programs, on a line of its own."""
    typer.echo(msgspec.json.encode(record).decode())


def likes_in_words(n: int) -> str:
    return "1 like" if n == 1 else f"{n:,} likes"


def say_report(report: Report) -> None:
    """What `verify` found."""
    checked = f"checked {likes_in_words(report.likes)} of {report.items:,} items: counts, timelines, lists of likers"
    if not report.drifted:
        say(f"{checked}. Everything agrees.")
        return
    say(f"{checked}. {report.drifted:,} places disagree with the likes:")
    for drift in report.drift:
        say(f"  {drift.view} of {drift.id}: {drift.detail}")
    if report.drifted > len(report.drift):
        say(f"  … and {report.drifted - len(report.drift):,} more")
    say("All of them were mended." if report.repaired else "`likewise verify --repair` mends them.")
