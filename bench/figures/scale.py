"""What a large store does to speed, disk and memory: the fill's ten million likes beside its first hundred thousand."""

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import apsw

from likewise import Likes

from .. import load, machine, requests
from ..context import Context, at_least, http_row
from ..load import Load
from ..peers.bulk import BareBulk
from ..rows import Row, Target
from .bulk import Rate, apply, apply_bare, median_rate, rate_row

CONNECTIONS = 64
READS = {"count": requests.count, "status": requests.status, "list": requests.likes_of}
SPREAD_TARGETS = [at_least(12_000), Target(of="p99_ms", at_most=100)]
LIKES_VIEWS = ("user_likes", "item_likes", "notes")


def footprint(context: Context) -> Iterator[Row]:
    size = context.stores.sizes[-1]
    folder = context.stores.copy(size, "footprint")
    views = disk_bytes(database_of(folder))
    changes = views["changes"] / size
    yield Row(
        figure="footprint",
        what=f"disk per like at {size:,}, change log aside",
        value=sum(views[view] for view in LIKES_VIEWS) / size,
        unit="bytes",
        targets=[Target(at_most=200)],
        notes=[f"12-byte ids; the change log (kept 7 days) {changes:.0f} more"],
    )
    with context.likewise(folder) as ours:
        loads = [context.replay(ours, file, CONNECTIONS) for file in _read_files(context).values()]
        loads.append(context.likes(ours, context.stores.items, CONNECTIONS))
        loads.append(context.likes(ours, 1, CONNECTIONS))
        now, peak = machine.memory_mb(ours.pid)
    yield Row(
        figure="footprint",
        what=f"resident memory of the server at {size:,}, after reads and writes",
        value=now,
        unit="MiB",
        targets=[Target(at_most=512)],
        notes=[f"peak {peak:.0f} MiB"],
        failed=load.failed(*loads),
    )


def scale(context: Context) -> Iterator[Row]:
    small, _, large = context.stores.sizes
    files = _read_files(context)
    with (
        context.likewise(context.stores.copy(small, "scale-small")) as few,
        context.likewise(context.stores.copy(large, "scale-large")) as many,
    ):
        for kind, file in files.items():
            runs = [partial(context.replay, server, file, CONNECTIONS) for server in (few, many)]
            yield _beside_small(context, f"{kind} reads", runs)
        runs = [partial(context.likes, server, 1, CONNECTIONS) for server in (few, many)]
        yield _beside_small(context, "likes of one item", runs)


def spread_scale(context: Context) -> Iterator[Row]:
    for size in context.stores.sizes[1:]:
        bare, row = _bulk_at(context, size)
        yield row
        yield from _http_at(context, size, bare)


def _bulk_at(context: Context, size: int) -> tuple[list[Rate], Row]:
    items = context.stores.items
    bare = BareBulk(database_of(context.stores.copy(size, "spread-bare")))
    folder = context.stores.copy(size, "spread-bulk")
    peers, ours, written = asyncio.run(_apply_both(context, bare, folder))
    bare.close()
    row = rate_row("spread-scale", f"Likes.apply spread over {items:,} items at {size:,}", ours, peers, SPREAD_TARGETS)
    row.notes.append(written)
    return peers, row


async def _apply_both(context: Context, bare: BareBulk, folder: Path) -> tuple[list[Rate], list[Rate], str]:
    """The bare loop and ours in turn, on copies of the same file."""
    items = context.stores.items
    peers: list[Rate] = []
    ours: list[Rate] = []
    written = Written(os.getpid())
    async with Likes.open(context.stores.url(folder)) as likes:
        for _ in range(context.repeat):
            peers.append(apply_bare(bare, items, context.seconds))
            with written:
                ours.append(await apply(likes.apply, items, context.seconds))
    return peers, ours, written.per_like(sum(rate.likes for rate in ours))


def _http_at(context: Context, size: int, bare: list[Rate]) -> Iterator[Row]:
    items = context.stores.items
    for connections in (64, 256):
        with context.likewise(context.stores.copy(size, "spread-http")) as ours:
            context.likes(ours, items, connections, load.WARM_UP_S)
            written = Written(ours.pid)
            with written:
                (loads,) = load.interleaved(context.repeat, partial(context.likes, ours, items, connections))
        row = http_row(
            "spread-scale",
            f"likes spread over {items:,} items at {size:,}, {connections} connections",
            loads,
            targets=SPREAD_TARGETS,
            notes=[written.per_like(sum(run.requests for run in loads))],
        )
        peer = median_rate(bare)
        row.peer_name, row.peer, row.peer_p99_ms = "bare bulk loop", peer.per_second, peer.p99_ms
        yield row


class Written:
    """What a process writes while this is entered, summed up."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._disk = self._calls = 0

    def __enter__(self) -> None:
        disk, calls = machine.written_bytes(self._pid)
        self._disk -= disk
        self._calls -= calls

    def __exit__(self, *_: object) -> None:
        disk, calls = machine.written_bytes(self._pid)
        self._disk += disk
        self._calls += calls

    def per_like(self, likes: int) -> str:
        return f"{self._disk / likes:,.0f} bytes written a like ({self._calls / likes:,.0f} passed to write)"


def database_of(folder: Path) -> Path:
    """The SQLite file of a store's folder."""
    return next(folder.glob("*.db"))


def disk_bytes(database: Path) -> dict[str, int]:
    """Bytes of the pages of each table of a closed SQLite file."""
    connection = apsw.Connection(str(database))
    try:
        rows = connection.execute("select name, pgsize from dbstat where aggregate = true").fetchall()
        return dict(cast(list[tuple[str, int]], rows))
    finally:
        connection.close()


def _read_files(context: Context) -> dict[str, Path]:
    """Reads of likes that stand in every size, by kind."""
    pairs = context.stores.pairs()
    return {
        kind: requests.write(context.file(f"scale-{kind}"), [read(*pair) for pair in pairs])
        for kind, read in READS.items()
    }


def _beside_small(context: Context, what: str, runs: "list[partial[Load]]") -> Row:
    small, _, large = context.stores.sizes
    for run in runs:
        run(seconds=load.WARM_UP_S)
    few, many = load.interleaved(context.repeat, *runs)
    return http_row(
        "scale",
        f"{what} at {large:,}, {CONNECTIONS} connections",
        many,
        few,
        peer_name=f"at {small:,}",
        targets=[Target(of="ratio", at_least=0.7)],
    )
