"""Files of requests, one a line: `METHOD PATH USER [BODY]`, where the user `@` is a new one each time it is sent.

`wrk/replay.lua` and `paced.py` send the same files.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from . import ids
from .peers import Pair

NEW = "@"
SERVICE_USER = "bench"


def like(user: str, item: str) -> str:
    return f"PUT /v1/items/{item}/like {user}"


def status(user: str, item: str) -> str:
    return f"GET /v1/items/{item}/like {user}"


def count(_user: str, item: str) -> str:
    return f"GET /v1/items/{item}/count {SERVICE_USER}"


def likes_of(user: str, _item: str) -> str:
    return f"GET /v1/users/{user}/likes {user}"


def counts(items: Sequence[str]) -> str:
    return f"POST /v1/counts {SERVICE_USER} " + json.dumps({"item_ids": list(items)}, separators=(",", ":"))


def mixed(pairs: Sequence[Pair], seed: int = 1) -> list[str]:
    """60 % status and count, 30 % likes by new users, 10 % lists."""
    rng = Random(seed)
    kinds: list[Callable[[str, str], str]] = [status, count, lambda _user, item: like(NEW, item), likes_of]
    return [rng.choices(kinds, (30, 30, 30, 10))[0](*pair) for pair in pairs]


def batches(items: int, ids_each: int, lines: int, seed: int = 1) -> list[str]:
    """Calls for the counts of `ids_each` items at random out of `items`."""
    rng = Random(seed)
    return [counts([ids.item(place) for place in rng.sample(range(items), ids_each)]) for _ in range(lines)]


def write(file: Path, lines: Sequence[str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
