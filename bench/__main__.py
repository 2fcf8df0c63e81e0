"""`python -m bench [NAME ...]`: measure, print, keep."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from . import load, machine, report
from .context import Context
from .figures import FIGURES
from .rows import Row, Run
from .stores import Stores
from .tiers import TIERS, Tier

HERE = Path(__file__).parent
FULL = 2
"""Figures that fill the large store have targets for it at its full size, and none at a smaller one."""

WIDTH = 180
"""Where there is no terminal to ask."""

RESULTS = HERE / "results"
DOCS = HERE.parent / "docs" / "bench.md"


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Figures: {', '.join(FIGURES)}. All by default.")] = None,
    tier: Annotated[str, typer.Option(help=f"The tier to measure: {', '.join(TIERS)}.")] = "sqlite",
    seconds: Annotated[int, typer.Option(min=1, help="How long each measurement takes.")] = 8,
    repeat: Annotated[int, typer.Option(min=1, help="How often each is repeated; the median counts.")] = 3,
    likes: Annotated[
        int | None, typer.Option(min=10_000, help="The size of the large store, if not the tier's.")
    ] = None,
    reuse: Annotated[bool, typer.Option(help="Use the filled stores of an earlier run.")] = False,
    write_docs: Annotated[bool, typer.Option(help=f"Put the tier's table into docs/{DOCS.name}.")] = False,
    results: Annotated[Path | None, typer.Option(help="Measure nothing: show these results again.")] = None,
) -> None:
    """Measure likewise beside the limits of this machine."""
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    if write_docs and names:
        raise SystemExit(f"docs/{DOCS.name} shows whole runs: leave out either the names or --write-docs.")
    run = (
        report.load(results)
        if results
        else measure(console, _known(names), _tier(tier), seconds=seconds, repeat=repeat, likes=likes, reuse=reuse)
    )
    report.draw(console, run)
    if not results:
        console.print(f"\nkept in {report.save(run, RESULTS)}")
    if write_docs:
        report.write_docs(DOCS, f"bench {run.tier}", report.markdown(run))
    if any(row.failed for row in run.rows):
        raise typer.Exit(1)


def measure(
    console: Console, names: list[str], tier: Tier, *, seconds: int, repeat: int, likes: int | None, reuse: bool
) -> Run:
    """One run of the bench. Rows are printed as they come."""
    load.ensure_wrk()
    work = HERE / "work"
    sizes = tier.sizes_up_to(likes)
    stores = Stores(work, tier, sizes)
    context = Context(work, stores, seconds=seconds, repeat=repeat)
    run = Run(
        started=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        commit=machine.commit(),
        tier=tier.name,
        seconds=seconds,
        repeat=repeat,
        likes=sizes[-1],
        machine=machine.describe(work),
    )
    fills = [fill for name in names if (fill := FIGURES[name].fill) is not None]
    if fills:
        stores.prepare(sizes[max(fills)], reuse=reuse)
        run.curve = stores.curve
    for name in names:
        for row in _rows(name, context):
            if FIGURES[name].fill == FULL and sizes != tier.sizes:
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
        reason = str(error).partition("\n")[0]
        yield Row(figure=name, what="broke off", value=0, unit="", failed=f"{type(error).__name__}: {reason}")


def _known(names: list[str] | None) -> list[str]:
    for name in names or []:
        if name not in FIGURES:
            raise SystemExit(f"no figure is called {name!r}; there are {', '.join(FIGURES)}")
    return names or list(FIGURES)


def _tier(name: str) -> Tier:
    if name not in TIERS:
        raise SystemExit(f"no tier is called {name!r}; there are {', '.join(TIERS)}")
    return TIERS[name]


if __name__ == "__main__":
    typer.run(main)
