"""A mixed load at half of what the service can carry, sent on schedule: what callers wait for on a normal day."""

from collections.abc import Iterator

from .. import load, paced, requests
from ..context import Context, http_row
from ..paced import Paced
from ..rows import Row
from ..targets import at_most, p99_at_most

CONNECTIONS = 64
BOUNDS = {
    "status, count": [at_most(50)],
    "like": [at_most(100), p99_at_most(200)],
    "list": [at_most(200)],
}
"""Milliseconds; a row's value is its p95."""

CLIENT_BUSY_MAX = 0.7
CLIENT_LATE_MS_MAX = 10.0


def mixed(context: Context) -> Iterator[Row]:
    size = context.stores.sizes[1]
    file = requests.write(context.file("mixed"), requests.mixed(context.stores.pairs()))
    with context.likewise(context.stores.copy(size, "mixed")) as ours, context.count_echo(ours) as echo:
        context.replay(ours, file, CONNECTIONS, load.WARM_UP_S)
        (tops,) = load.interleaved(context.repeat, lambda: context.replay(ours, file, CONNECTIONS))
        top = http_row(
            "mixed", f"the mix, closed loop, at {size:,}, {CONNECTIONS} connections", tops, unit="requests/s"
        )
        top.notes = ["60 % status and count, 30 % likes, 10 % lists"]
        yield top
        rate = top.value / 2
        alone = paced.run(echo.port, rate, context.seconds, file)
        (runs,) = load.interleaved(context.repeat, lambda: paced.run(ours.port, rate, context.seconds, file))
    for kind in BOUNDS:
        yield _row(kind, size, rate, runs, alone)


def _row(kind: str, size: int, rate: float, runs: list[Paced], alone: Paced) -> Row:
    by_p95 = sorted(runs, key=lambda run: run.kinds[kind].p95_ms)
    run = by_p95[(len(runs) - 1) // 2]
    seen = run.kinds[kind]
    idle = alone.kinds[kind]
    return Row(
        figure="mixed",
        what=f"{kind}: p95 at half that rate, on schedule, at {size:,}",
        value=seen.p95_ms,
        unit="ms",
        samples=[run.kinds[kind].p95_ms for run in runs],
        p50_ms=seen.p50_ms,
        p95_ms=seen.p95_ms,
        p99_ms=seen.p99_ms,
        peer_name="bare RSGI echo, same client",
        peer=idle.p95_ms,
        peer_p99_ms=idle.p99_ms,
        targets=BOUNDS[kind],
        notes=[f"{rate:,.0f} requests/s", _client(run)],
        failed=next((failed for run in runs if (failed := _failed(run, rate))), None),
    )


def _client(run: Paced) -> str:
    """Whether the client itself was what limited."""
    fine = run.busy < CLIENT_BUSY_MAX and run.late_p99_ms < CLIENT_LATE_MS_MAX
    verdict = "not the bottleneck" if fine else "MAY BE THE BOTTLENECK"
    return f"client {verdict}: {run.busy:.0%} of a core, p99 of its own lateness {run.late_p99_ms:.1f} ms"


def _failed(run: Paced, rate: float) -> str | None:
    if run.refused or run.unanswered:
        return f"{run.refused:,} answers were not 2xx, {run.unanswered:,} did not come"
    return f"only {run.rate:,.0f}/s were answered" if run.rate < rate * 0.9 else None
