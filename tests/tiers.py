"""The registry of tiers: an entry here joins the conformance suite, and says where the bench finds a tier's store.

What the bench has to know beyond that (sizes, targets, the bare driver) is a second entry, in `bench/tiers.py`.
"""

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
