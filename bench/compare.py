"""`python -m bench.compare RESULT RESULT`: two tiers side by side, from their kept runs, in docs/sqlite-or-rocksdb.md.

Draws both fills (docs/fill.svg) and puts the table of what both reach into the page.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter

from . import report
from .rows import Row, Run, Step

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "sqlite-or-rocksdb.md"
PLOT = DOCS / "fill.svg"

PANELS: Sequence[tuple[str, str, Callable[[Step], float]]] = (
    ("likes a second", "linear", lambda step: step.likes_per_second),
    ("p99 of 1,000 likes, ms", "linear", lambda step: step.p99_ms),
    ("bytes written a like", "log", lambda step: step.written_bytes_per_like),
    ("resident memory, MiB", "linear", lambda step: step.memory_mib),
)
"""(what, scale of the axis, value)"""

PICTURE = f"""![Likes a second, p99, bytes written and memory of both tiers, against the likes stored]({PLOT.name})

Both stores are filled with likes of random users and items, 1,000 a commit, each commit fsynced: the hard case. A point
is the stretch of the fill that ends there.
"""

COLOURS = ("#0072B2", "#D55E00")
"""Told apart by everyone (Okabe and Ito)."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "likewise",  # the same runs make the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}


def main(
    first: Annotated[Path, typer.Argument(help="A kept run of one tier (bench/results/*.json).")],
    second: Annotated[Path, typer.Argument(help="One of another; the rows are this one's.")],
) -> None:
    """Write docs/sqlite-or-rocksdb.md's plot and table from two runs."""
    runs = (report.load(first), report.load(second))
    plot(runs, PLOT)
    report.write_docs(PAGE, "comparison", markdown(*runs))


def plot(runs: Sequence[Run], file: Path) -> None:
    """The fills of these runs, one line each in every panel."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 5.6), layout="constrained")
        for axes, (what, scale, value) in zip(figure.subplots(2, 2, sharex=True).flat, PANELS, strict=True):
            _panel(axes, runs, what, scale, value)
        figure.supxlabel("likes stored")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(runs))
        figure.savefig(file, metadata={"Date": None})


def markdown(first: Run, second: Run) -> str:
    """Both runs, and what both tiers reach: the rows of the second, and beside them the same ones of the first."""
    beside = {(row.figure, row.what): row for row in first.rows}
    rows = [(row.figure, row.what, _cell(beside.get((row.figure, row.what))), _cell(row)) for row in second.rows]
    intro = "\n".join(
        f"- `{run.tier}`: {run.started}, commit {run.commit}, {run.seconds} s a figure, the median of {run.repeat}"
        for run in (first, second)
    )
    return f"{PICTURE}\n{intro}\n\n{report.table(('figure', 'what', first.tier, second.tier), rows)}"


def _panel(axes: Axes, runs: Sequence[Run], what: str, scale: str, value: Callable[[Step], float]) -> None:
    for run, colour in zip(runs, COLOURS, strict=True):
        axes.plot(
            [step.likes for step in run.curve],
            [value(step) for step in run.curve],
            color=colour,
            marker="o",
            markersize=3,
            label=run.tier,
        )
    axes.set(title=what, xscale="log", yscale=scale)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if scale == "linear":
        axes.set_ylim(bottom=0)


def _cell(row: Row | None) -> str:
    if row is None:
        return "–"
    if row.failed:
        return "failed"
    p99 = f", p99 {report.measured(row.p99_ms, 'ms')}" if row.p99_ms is not None else ""
    return report.measured(row.value, row.unit) + p99


if __name__ == "__main__":
    typer.run(main)
