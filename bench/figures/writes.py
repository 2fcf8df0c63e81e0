"""Single likes over HTTP, each by a new user, each fsynced before its answer."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median_low, quantiles

from .. import ids, load, requests
from ..context import Context, http_row
from ..load import Load
from ..peers import Bare
from ..rows import Row
from ..servers import Server
from ..targets import Bounds, at_most, ratio_at_least

HOT_CONNECTIONS = (64, 256)
SPREAD_ITEMS = 100_000
LONE_PUT_OVER_COMMIT_MS = 0.5
READERS = 64
LEAD_S = 0.5
"""Head start of the readers."""


def hot_puts(context: Context) -> Iterator[Row]:
    with context.likewise(context.stores.empty("hot-puts")) as ours, context.count_echo(ours) as echo:
        for connections in HOT_CONNECTIONS:
            what = f"likes of one item, {connections} connections"
            bounds = context.targets.hot_puts.get(connections, [])
            yield _beside_echo(context, ours, echo, "hot-puts", what, 1, connections, bounds)


def spread_puts(context: Context) -> Iterator[Row]:
    with context.likewise(context.stores.empty("spread-puts")) as ours, context.count_echo(ours) as echo:
        what = f"likes spread over {SPREAD_ITEMS:,} items, 64 connections"
        yield _beside_echo(context, ours, echo, "spread-puts", what, SPREAD_ITEMS, 64, context.targets.spread_puts)


def lone_put(context: Context) -> Iterator[Row]:
    bare = context.stores.bare(context.stores.empty("lone-commits"))
    with context.likewise(context.stores.empty("lone-put")) as ours:
        context.likes(ours, 1, 1, load.WARM_UP_S)
        commits, loads = load.interleaved(
            context.repeat,
            lambda: _percentiles(_commit_times_ms(bare, context.seconds)),
            lambda: _percentiles_of(context.likes(ours, 1, 1)),
        )
    bare.close()
    commit_ms, like_ms = (median_low([p50 for p50, _, _ in runs]) for runs in (commits, loads))
    yield Row(
        figure="lone-put",
        what="a lone client's like, p50",
        value=like_ms,
        unit="ms",
        samples=[p50 for p50, _, _ in loads],
        p50_ms=like_ms,
        p99_ms=median_low([p99 for _, p99, _ in loads]),
        peer_name="bare fsynced commits",
        peer=commit_ms,
        peer_p99_ms=median_low([p99 for _, p99, _ in commits]),
        peer_samples=[p50 for p50, _, _ in commits],
        targets=[at_most(round(commit_ms + LONE_PUT_OVER_COMMIT_MS, 3))],
        notes=[f"target: one bare commit + {LONE_PUT_OVER_COMMIT_MS} ms"],
        failed=next((failed for _, _, failed in loads if failed), None),
    )


def read_contention(context: Context) -> Iterator[Row]:
    file = requests.write(context.file("hot-count"), [requests.count("", ids.HOT)])
    with context.likewise(context.stores.empty("read-contention")) as ours:
        context.likes(ours, 1, 64, load.WARM_UP_S)
        alone, beside = load.interleaved(
            context.repeat,
            lambda: (context.likes(ours, 1, 64), None),
            lambda: _beside_reads(context, ours, file),
        )
    reads = [read for _, read in beside if read]
    yield http_row(
        "read-contention",
        "likes of one item under full read load, 64 + 64 connections",
        [likes for likes, _ in beside],
        [likes for likes, _ in alone],
        peer_name="the same alone",
        targets=[ratio_at_least(0.5)],
        notes=[f"beside {load.median_of(reads).per_second:,.0f} count reads/s"],
    )


def _beside_echo(
    context: Context, ours: Server, echo: Server, figure: str, what: str, items: int, connections: int, bounds: Bounds
) -> Row:
    context.likes(ours, items, connections, load.WARM_UP_S)
    peers, loads = load.interleaved(
        context.repeat,
        partial(context.likes, echo, items, connections),
        partial(context.likes, ours, items, connections),
    )
    return http_row(figure, what, loads, peers, peer_name="bare RSGI echo", targets=bounds)


def _beside_reads(context: Context, ours: Server, file: Path) -> tuple[Load, Load | None]:
    """A run of likes while a second wrk reads as fast as it can, before, during and after it."""
    seconds = context.seconds + 2
    readers = load.begin(ours.url, "replay", file.absolute(), 0, connections=READERS, seconds=seconds)
    try:
        time.sleep(LEAD_S)
        liked = context.likes(ours, 1, 64)
    finally:
        read = load.end(readers, seconds)
    return liked, read


def _commit_times_ms(bare: Bare, seconds: float) -> list[float]:
    """The time of each bare commit, one after the other."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        bare.commit()
        times.append((time.perf_counter() - began) * 1e3)
    return times


def _percentiles(times_ms: list[float]) -> tuple[float, float, str | None]:
    cuts = quantiles(times_ms, n=100, method="inclusive")
    return cuts[49], cuts[98], None


def _percentiles_of(run: Load) -> tuple[float, float, str | None]:
    return run.p50_ms, run.p99_ms, run.failed
