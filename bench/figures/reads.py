"""Counts over HTTP: one a call, and a hundred a call."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .. import ids, load, requests
from ..context import Context, http_row
from ..rows import Row
from ..servers import Server
from ..targets import at_least, ratio_at_least

HOT_ITEMS = 100
BATCH_ITEMS = 10_000
IDS_A_CALL = 100
CALLS = 1_000
CONNECTIONS = 64


def count_reads(context: Context) -> Iterator[Row]:
    file = requests.write(context.file("hot-counts"), [requests.count("", ids.item(n)) for n in range(HOT_ITEMS)])
    with context.likewise(context.stores.empty("count-reads")) as ours:
        context.likes(ours, HOT_ITEMS, CONNECTIONS, load.WARM_UP_S)
        with context.count_echo(ours) as echo:
            peers, loads = _beside(context, ours, echo, file)
    yield http_row(
        "count-reads",
        f"counts of {HOT_ITEMS} hot items, {CONNECTIONS} connections",
        loads,
        peers,
        peer_name="bare RSGI echo",
        targets=[ratio_at_least(0.75)],
    )


def batch_counts(context: Context) -> Iterator[Row]:
    calls = requests.batches(BATCH_ITEMS, IDS_A_CALL, CALLS)
    file = requests.write(context.file("batch-counts"), calls)
    with context.likewise(context.stores.empty("batch-counts")) as ours:
        context.likes(ours, BATCH_ITEMS, CONNECTIONS, load.WARM_UP_S)
        with context.echo(ours.call("POST", "/v1/counts", calls[0].split(" ", 3)[3])) as echo:
            peers, loads = _beside(context, ours, echo, file)
    row = http_row(
        "batch-counts",
        f"counts by {IDS_A_CALL} a call, {CONNECTIONS} connections",
        loads,
        peers,
        peer_name="bare RSGI echo",
        targets=[at_least(1_000_000)],
        notes=["percentiles are per call"],
    )
    yield scaled(row, IDS_A_CALL)


def scaled(row: Row, by: int) -> Row:
    """Calls a second as things a second."""
    row.value *= by
    row.peer = row.peer and row.peer * by
    row.samples = [sample * by for sample in row.samples]
    row.peer_samples = [sample * by for sample in row.peer_samples]
    return row


def _beside(context: Context, ours: Server, echo: Server, file: Path) -> list[list[load.Load]]:
    for server in (echo, ours):
        context.replay(server, file, CONNECTIONS, load.WARM_UP_S)
    return load.interleaved(
        context.repeat,
        partial(context.replay, echo, file, CONNECTIONS),
        partial(context.replay, ours, file, CONNECTIONS),
    )
