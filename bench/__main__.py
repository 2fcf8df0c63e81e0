"""`python -m bench [NAME ...]`: measure, print, keep."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from . import load, machine, report
from .context import Context
from .figures import FIGURES
from .rows import Row, Run
from .stores import Stores

HERE = Path(__file__).parent
LIKES = 10_000_000
FULL = 2
"""Figures that fill the large store have targets for it at its full size, and none at a smaller one."""

WIDTH = 180
"""Where there is no terminal to ask."""

RESULTS = HERE / "results"
DOCS = HERE.parent / "docs" / "bench.md"


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Figures: {', '.join(FIGURES)}. All by default.")] = None,
    tier: Annotated[str, typer.Option(help="The tier to measure, from the tests' registry.")] = "sqlite",
    seconds: Annotated[int, typer.Option(min=1, help="How long each measurement takes.")] = 8,
    repeat: Annotated[int, typer.Option(min=1, help="How often each is repeated; the median counts.")] = 3,
    likes: Annotated[int, typer.Option(min=10_000, help="The size of the large store.")] = LIKES,
    reuse: Annotated[bool, typer.Option(help="Use the filled stores of an earlier run.")] = False,
    write_docs: Annotated[bool, typer.Option(help=f"Put the table into docs/{DOCS.name}.")] = False,
    results: Annotated[Path | None, typer.Option(help="Measure nothing: show these results again.")] = None,
) -> None:
    """Measure likewise beside the limits of this machine."""
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    if write_docs and names:
        raise SystemExit(f"docs/{DOCS.name} shows whole runs: leave out either the names or --write-docs.")
    run = _load(results) if results else measure(console, _known(names), tier, seconds, repeat, likes, reuse)
    report.draw(console, run)
    if not results:
        console.print(f"\nkept in {report.save(run, RESULTS)}")
    if write_docs:
        report.write_docs(run, DOCS)
    if any(row.failed for row in run.rows):
        raise typer.Exit(1)


def measure(console: Console, names: list[str], tier: str, seconds: int, repeat: int, likes: int, reuse: bool) -> Run:
    """One run of the bench. Rows are printed as they come."""
    load.ensure_wrk()
    work = HERE / "work"
    stores = Stores(work, tier, likes)
    context = Context(work, stores, seconds=seconds, repeat=repeat)
    run = Run(
        started=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        commit=machine.commit(),
        tier=tier,
        seconds=seconds,
        repeat=repeat,
        likes=likes,
        machine=machine.describe(work),
    )
    fills = [fill for name in names if (fill := FIGURES[name].fill) is not None]
    if fills:
        stores.prepare(stores.sizes[max(fills)], reuse=reuse)
        run.curve = stores.curve
    for name in names:
        for row in _rows(name, context):
            if FIGURES[name].fill == FULL and likes < LIKES:
                row.targets = []
            run.rows.append(row)
            console.print(" · ".join(cell for cell in report.cells(row) if cell), highlight=False)
        stores.clear()
        report.save(run, RESULTS)
    return run


def _rows(name: str, context: Context) -> Iterator[Row]:
    """A figure's rows. One that breaks off is a failed row, and the others are still measured."""
    try:
        yield from FIGURES[name].measure(context)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        yield Row(figure=name, what="broke off", value=0, unit="", failed=f"{type(error).__name__}: {error}")


def _known(names: list[str] | None) -> list[str]:
    for name in names or []:
        if name not in FIGURES:
            raise SystemExit(f"no figure is called {name!r}; there are {', '.join(FIGURES)}")
    return names or list(FIGURES)


def _load(file: Path) -> Run:
    return msgspec.json.decode(file.read_bytes(), type=Run)


if __name__ == "__main__":
    typer.run(main)
