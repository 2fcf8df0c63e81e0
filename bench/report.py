"""A run, drawn: the table on the terminal, the JSON beside it, and the generated parts of pages in docs/."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from .rows import NAMES, Row, Run, Step, number

NOISY = 0.25
"""A spread of the repetitions beyond which the row says so."""

NARROW = ("measured", "p50 ms", "p99 ms", "ratio")
COLUMNS = ("figure", "what", "measured", "p50 ms", "p99 ms", "beside it", "ratio", "target", "met")


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table, in the order of COLUMNS."""
    return (
        row.figure,
        "; ".join([row.what, *row.notes, *_noise(row)]),
        measured(row.value, row.unit),
        _optional(row.p50_ms),
        _optional(row.p99_ms),
        _peer(row),
        _optional(row.ratio),
        ", ".join(_target(target, row.unit) for target in row.targets),
        f"failed: {row.failed}" if row.failed else row.met,
    )


def draw(console: Console, run: Run) -> None:
    """The whole table, the curve of the fill, and the machine."""
    drawn = Table(title=f"likewise {run.commit} on {run.tier}, {run.started}", show_lines=True)
    for column in COLUMNS:
        drawn.add_column(column, overflow="fold", no_wrap=column in NARROW, min_width=6)
    for row in run.rows:
        drawn.add_row(*cells(row), style="red" if row.failed else "yellow" if "misses" in row.met else None)
    console.print(drawn)
    if run.curve:
        console.print("\n".join(["", "The fill, by 1,000 likes of random users and items:", *curve(run.curve)]))
    console.print("\n" + "\n".join(f"{name}: {value}" for name, value in run.machine.items()))


def save(run: Run, folder: Path) -> Path:
    """Write the run's JSON; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (run.started.removesuffix(" UTC").replace(":", "").replace(" ", "T") + ".json")
    file.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    return file


def load(file: Path) -> Run:
    """The inverse of `save`."""
    return msgspec.json.decode(file.read_bytes(), type=Run)


def write_docs(page: Path, name: str, text: str) -> None:
    """Put generated text between the page's markers `<!-- NAME: begin … -->` and `<!-- NAME: end -->`. Exits if the
    page has none."""
    between = re.compile(f"(<!-- {name}: begin .*? -->).*(<!-- {name}: end -->)", re.DOTALL)
    whole, n = between.subn(lambda found: f"{found[1]}\n\n{text}\n\n{found[2]}", page.read_text(encoding="utf-8"))
    if not n:
        raise SystemExit(f"{page} has lost its markers <!-- {name}: begin … --> and <!-- {name}: end -->")
    page.write_text(whole, encoding="utf-8")


def markdown(run: Run) -> str:
    """The run as Markdown."""
    machine = "\n".join(f"- {name}: {value}" for name, value in run.machine.items())
    intro = (
        f"Measured {run.started} at commit {run.commit}, tier `{run.tier}`: {run.seconds} s a figure, the median of "
        f"{run.repeat}, stores of up to {run.likes:,} likes. Client and server ran on the same machine:"
    )
    parts = [f"{intro}\n\n{machine}", table(COLUMNS, [cells(row) for row in run.rows])]
    if run.curve:
        steps = "\n".join(curve(run.curve))
        parts.append(f"The fill, by 1,000 likes of random users and items:\n\n```text\n{steps}\n```")
    return "\n\n".join(parts)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(_line(texts) for texts in (columns, ["---"] * len(columns), *rows))


def measured(value: float, unit: str) -> str:
    """A figure with its unit: 31,234/s · 12.5 ms."""
    return _measured_text(number(value), unit)


def curve(steps: list[Step]) -> list[str]:
    """The fill as text: a line per step, with a bar for the rate."""
    top = max(step.likes_per_second for step in steps)
    head = f"{'likes':>12} {'likes/s':>9} {'p99 ms':>8} {'kB a like':>10} {'MiB':>6}"
    return [head, *(_step(step, top) for step in steps)]


def _step(step: Step, top: float) -> str:
    bar = "▇" * round(step.likes_per_second / top * 30)
    kb = step.written_bytes_per_like / 1e3
    rate, mib = f"{step.likes_per_second:>9,.0f}", f"{step.memory_mib:>6.0f}"
    return f"{step.likes:>12,} {rate} {step.p99_ms:>8.1f} {kb:>10.2f} {mib}  {bar}"


def _noise(row: Row) -> list[str]:
    if row.spread <= NOISY:
        return []
    return [f"noisy: {number(min(row.samples))} to {number(max(row.samples))}"]


def _peer(row: Row) -> str:
    if row.peer is None:
        return ""
    p99 = f", p99 {number(row.peer_p99_ms)} ms" if row.peer_p99_ms is not None else ""
    return f"{row.peer_name}: {measured(row.peer, row.unit)}{p99}"


def _target(target: object, unit: str) -> str:
    text = str(target)
    return text if any(name and text.startswith(name) for name in NAMES.values()) else _measured_text(text, unit)


def _measured_text(text: str, unit: str) -> str:
    return f"{text}{unit}" if unit.startswith("/") else f"{text} {unit}"


def _optional(value: float | None) -> str:
    return "" if value is None else number(value)


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
