"""The registry of tiers. The conformance suite and the benchmarks both take it from here: one entry joins both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Tier:
    """A tier, and how to get a fresh store of it: `url(folder)` names one that belongs to that folder alone.

    `durable` says whether likes outlive `close`.
    """

    name: str
    url: Callable[[Path], str]
    durable: bool


TIERS = [
    Tier("memory", lambda folder: "memory:", durable=False),
    Tier("sqlite", lambda folder: f"sqlite:{quote(str(folder / 'likes.db'))}", durable=True),
    Tier("rocksdb", lambda folder: f"rocksdb:{quote(str(folder / 'likes'))}", durable=True),
]
