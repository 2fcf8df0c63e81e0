"""How the commands print: plain lines for people, JSON lines for programs. Ids are printed as they are."""

from typing import Any

import msgspec
import typer


def say(line: str) -> None:
    """A line for people."""
    typer.echo(line)


def say_json(record: Any) -> None:
    """A record for programs, on a line of its own."""
    typer.echo(msgspec.json.encode(record).decode())


def likes_in_words(n: int) -> str:
    return "1 like" if n == 1 else f"{n:,} likes"
