"""What is measured: rows with their targets, and the run they belong to. Plain data; report.py draws it."""

from typing import Literal

import msgspec

Aspect = Literal["value", "ratio", "p99_ms"]

NAMES: dict[Aspect, str] = {"value": "", "ratio": "ratio ", "p99_ms": "p99 "}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A bound on one aspect of a row; exactly one of `at_least` and `at_most` is set."""

    of: Aspect = "value"
    at_least: float | None = None
    at_most: float | None = None

    def miss(self, measured: float) -> float:
        """By which part of the bound it is missed: 0 where it is met, 0.12 for 12 % short (or over)."""
        if self.at_least is not None:
            return max(0.0, 1 - measured / self.at_least)
        assert self.at_most is not None
        return max(0.0, measured / self.at_most - 1)

    def __str__(self) -> str:
        sign, bound = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        unit = " ms" if self.of == "p99_ms" else ""
        return f"{NAMES[self.of]}{sign} {number(bound or 0)}{unit}"


class Row(msgspec.Struct, kw_only=True):
    """One line of the table. `value` and `peer` are medians of `samples` and `peer_samples`; times are milliseconds.

    `failed` says why the measurement does not count, in which case nothing else does.
    """

    figure: str
    what: str
    value: float
    unit: str
    samples: list[float] = []
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    peer_name: str | None = None
    peer: float | None = None
    peer_p99_ms: float | None = None
    peer_samples: list[float] = []
    targets: list[Target] = []
    notes: list[str] = []
    failed: str | None = None

    @property
    def ratio(self) -> float | None:
        """Ours / the peer's."""
        return self.value / self.peer if self.peer else None

    @property
    def met(self) -> str:
        """`yes`, `misses by 12 %`, `failed`, or nothing where there is no target."""
        if self.failed:
            return "failed"
        misses = [
            (target.miss(measured), target)
            for target in self.targets
            if (measured := self._aspect(target.of)) is not None
        ]
        if not misses:
            return ""
        worst, target = max(misses, key=lambda miss: miss[0])
        return "yes" if worst == 0 else f"{NAMES[target.of]}misses by {max(1, round(worst * 100))} %"

    @property
    def spread(self) -> float:
        """(highest - lowest) / median of the samples: how noisy the machine was."""
        return (max(self.samples) - min(self.samples)) / self.value if self.samples and self.value else 0.0

    def _aspect(self, of: Aspect) -> float | None:
        return self.ratio if of == "ratio" else getattr(self, of)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the fill, which ended when the store held `likes`: what a batch of 1,000 likes cost.

    `written` went towards the disk, `passed` was passed to write calls. `memory_mib` was resident at its end, the bench
    itself included.
    """

    likes: int
    likes_per_second: float
    p99_ms: float
    written_bytes_per_like: float
    passed_bytes_per_like: float
    memory_mib: float


class Run(msgspec.Struct, kw_only=True):
    """Everything of one run of the bench, as it stands in bench/results/."""

    started: str
    commit: str
    tier: str
    seconds: int
    repeat: int
    likes: int
    machine: dict[str, str]
    rows: list[Row] = []
    curve: list[Step] = []


def number(value: float) -> str:
    """A figure as people write it: 31,234 · 12.5 · 0.21."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
