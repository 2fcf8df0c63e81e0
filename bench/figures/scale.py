"""What a growing store does to speed, disk and memory: the same on the small, the middle and the large filled store."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import msgspec
import uvloop

from likewise import Likes
from likewise.settings import Settings

from .. import ids, load, machine, requests
from ..context import Context, http_row
from ..load import Load, Walk
from ..rows import Row
from ..servers import Server
from ..stores import BATCH
from ..targets import Bounds, at_least, ratio_at_least
from .bulk import BESIDE_BARE, Rate, apply, apply_bare, rate_row

OF_SMALL = 0.7
"""What the rates of the large store are to reach of the small one's."""


Run = Callable[[int, int], Load]
"""A load over so many connections for so many seconds."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of load over HTTP: how to send it to a server, and what it is to reach."""

    what: str
    run_on: Callable[[Server], Run]
    targets: Bounds = []
    connections: int = 64
    writes: bool = False
    notes: list[str] = []


def footprint(context: Context) -> Iterator[Row]:
    for size in context.stores.sizes:
        yield Row(
            figure="footprint",
            what=f"written per like while filling up to {size:,}",
            value=context.stores.written_per_like(size),
            unit="bytes",
            targets=context.targets.written,
        )
        yield _disk(context, size)
        yield _memory(context, size)


def scale(context: Context) -> Iterator[Row]:
    for kind in _kinds(context):
        with ExitStack() as stack:
            copies = [context.stores.copy(size, f"scale-{size}") for size in context.stores.sizes]
            servers = [stack.enter_context(context.likewise(copy)) for copy in copies]
            yield from _at_each_size(context, kind, servers)


def bulk_scale(context: Context) -> Iterator[Row]:
    many, targets = context.stores.items, context.targets
    small, *_, large = context.stores.sizes
    for items, where in ((many, f"spread over {many:,} items"), (1, "of one item")):
        at_small = 0.0
        for size in context.stores.sizes:
            bounds = targets.bulk_of_one_item if items == 1 else targets.bulk_at.get(size, [])
            peers, ours, written = uvloop.run(_apply_both(context, size, items))
            what = f"Likes.apply of {BATCH:,} likes {where} at {size:,}"
            row = rate_row("bulk-scale", what, ours, peers, [BESIDE_BARE, *bounds])
            row.notes.append(written)
            if size == small:
                at_small = row.value
            if size == large:
                row.targets.append(at_least(at_small * OF_SMALL))
                row.notes.append(f"target: {OF_SMALL} of that at {small:,}")
            yield row


def _kinds(context: Context) -> Iterator[Kind]:
    """Every kind of load that the stores of all sizes get."""
    items, targets = context.stores.items, context.targets
    yield Kind(
        what="counts of random items",
        run_on=lambda server: Walk(server.url, "/v1/items/i@/count", requests.SERVICE_USER, items).run,
        targets=targets.counts_at_scale,
        notes=[f"all {items:,} in turn; the server holds {Settings().cache_items_max:,}"],
    )
    yield Kind(
        what="pages of 20 of random users",
        run_on=lambda server: Walk(server.url, "/v1/users/u@/likes?limit=20", "u@", ids.FILL_USERS, ids.SPACING).run,
        targets=targets.pages_at_scale,
    )
    statuses = [requests.status(*pair) for pair in context.stores.pairs()]
    file = requests.write(context.file("scale-statuses"), statuses)
    yield Kind(what="statuses", run_on=lambda server: partial(context.replay, server, file))
    yield Kind(
        what="likes of one item",
        run_on=lambda server: partial(context.likes, server, 1),
        targets=targets.hot_puts_at_scale,
        writes=True,
    )
    for connections in (64, 256):
        yield Kind(
            what=f"likes spread over {items:,} items",
            run_on=lambda server: partial(context.likes, server, items),
            targets=targets.spread_puts_at_scale,
            connections=connections,
            writes=True,
        )


def _at_each_size(context: Context, kind: Kind, servers: list[Server]) -> Iterator[Row]:
    """A row for each size. The larger ones stand beside the smallest, and the largest has to hold up to it."""
    runs = [partial(kind.run_on(server), kind.connections) for server in servers]
    for run in runs:
        run(load.WARM_UP_S)
    written = [Written(server.pid) for server in servers]
    with ExitStack() as stack:
        for of_server in written:
            stack.enter_context(of_server)
        loads = load.interleaved(context.repeat, *(partial(run, context.seconds) for run in runs))
    sizes = context.stores.sizes
    for size, of_size, of_server in zip(sizes, loads, written, strict=True):
        row = http_row(
            "scale",
            f"{kind.what} at {size:,}, {kind.connections} connections",
            of_size,
            loads[0] if size > sizes[0] else None,
            peer_name=f"at {sizes[0]:,}",
            targets=[*kind.targets, ratio_at_least(OF_SMALL)] if size == sizes[-1] else kind.targets,
            notes=[*kind.notes],
        )
        if kind.writes:
            row.notes.append(of_server.per_like(sum(run.requests for run in of_size)))
        yield row


def _disk(context: Context, size: int) -> Row:
    bare = context.stores.bare(context.stores.copy(size, "disk"))
    disk = bare.disk()
    bare.close()
    log = "included" if disk.changes is None else f"takes {disk.changes / size:.0f} more"
    return Row(
        figure="footprint",
        what=f"disk per like at {size:,}",
        value=disk.likes / size,
        unit="bytes",
        targets=context.targets.disk,
        notes=[f"12-byte ids; the change log (kept 7 days) {log}"],
    )


def _memory(context: Context, size: int) -> Row:
    with context.likewise(context.stores.copy(size, "memory")) as ours:
        loads = [kind.run_on(ours)(kind.connections, context.seconds) for kind in _kinds(context)]
        now, peak = machine.memory_mib(ours.pid)
    return Row(
        figure="footprint",
        what=f"resident memory of the server at {size:,}, after reads and writes",
        value=now,
        unit="MiB",
        targets=context.targets.memory,
        notes=[f"peak {peak:.0f} MiB"],
        failed=load.failed(*loads),
    )


async def _apply_both(context: Context, size: int, items: int) -> tuple[list[Rate], list[Rate], str]:
    """The bare loop and ours in turn, on copies of the same store, and what ours wrote."""
    stores = context.stores
    peers: list[Rate] = []
    ours: list[Rate] = []
    written = Written(os.getpid())
    bare = stores.bare(stores.copy(size, "bulk-bare"))
    async with Likes.open(stores.url(stores.copy(size, "bulk-likes"))) as likes:
        for _ in range(context.repeat):
            peers.append(apply_bare(bare, items, context.seconds))
            with written:
                ours.append(await apply(likes.apply, items, context.seconds))
    bare.close()
    return peers, ours, written.per_like(sum(rate.likes for rate in ours))


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
