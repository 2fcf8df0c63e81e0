"""Likes by the thousand: through the library, straight into the store, and from a file."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median_low

import msgspec
import uvloop

from likewise import Likes
from likewise.model import Op, Outcome

from .. import ids
from ..context import Context
from ..peers import Bare, Pair
from ..rows import Row
from ..servers import ENVIRONMENT, LIKEWISE
from ..stores import BATCH, percentile
from ..targets import Bounds, ratio_at_least

SPREAD_ITEMS = 100_000
IMPORT_PARTS = 50
"""The imported file has this part of the fill's likes."""

BESIDE_BARE = ratio_at_least(0.8)

Apply = Callable[[Sequence[Op]], Awaitable[Sequence[Outcome]]]


class Rate(msgspec.Struct, frozen=True):
    """Likes a second while batches were applied one after the other, and the p99 of one batch."""

    per_second: float
    p99_ms: float
    likes: int


def bulk(context: Context) -> Iterator[Row]:
    for items, where, bounds in (
        (SPREAD_ITEMS, f"spread over {SPREAD_ITEMS:,} items", []),
        (1, "of one item", context.targets.bulk_of_one_item),
    ):
        yield from uvloop.run(_bulk(context, items, where, bounds))


async def _bulk(context: Context, items: int, where: str, bounds: Bounds) -> list[Row]:
    stores = context.stores
    bare = stores.bare(stores.empty("bulk-bare"))
    through, straight = stores.empty("bulk-likes"), stores.empty("bulk-store")
    async with Likes.open(stores.url(through)) as likes, Likes.open(stores.url(straight)) as likes_of_store:
        rounds = [
            (
                apply_bare(bare, items, context.seconds),
                await apply(likes.apply, items, context.seconds),
                await apply(likes_of_store.store.apply, items, context.seconds),
            )
            for _ in range(context.repeat)
        ]
    bare.close()
    peers, by_likes, by_store = (list(rates) for rates in zip(*rounds, strict=True))
    return [
        rate_row("bulk", f"{name} of {BATCH:,} likes {where}", rates, peers, [BESIDE_BARE, *bounds])
        for name, rates in (("Likes.apply", by_likes), ("store.apply", by_store))
    ]


def import_csv(context: Context) -> Iterator[Row]:
    likes = context.stores.sizes[-1] // IMPORT_PARTS
    file = context.work / "import.csv"
    _write_csv(file, likes)
    rates: list[float] = []
    for _ in range(context.repeat):
        store = context.stores.url(context.stores.empty("import"))
        command = [*LIKEWISE, "import", str(file), "--store", store]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        rates.append(likes / (time.perf_counter() - began))
        if done.returncode:
            raise SystemExit(f"likewise import failed: {done.stderr.strip()}")
    bare = context.stores.bare(context.stores.empty("bulk-bare"))
    peer = apply_bare(bare, SPREAD_ITEMS, context.seconds)
    bare.close()
    yield Row(
        figure="import",
        what=f"import of a CSV file of {likes:,} likes, start to end",
        value=median_low(rates),
        unit="/s",
        samples=rates,
        peer_name="bare bulk loop",
        peer=peer.per_second,
        peer_p99_ms=peer.p99_ms,
    )


async def apply(run: Apply, items: int, seconds: float) -> Rate:
    """Apply batches for so many seconds; making them is not timed."""
    source = pairs(items)
    times: list[float] = []
    while sum(times) < seconds:
        ops = [Op(user, item, True) for user, item in islice(source, BATCH)]
        began = time.perf_counter()
        await run(ops)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0)
    return _rate(times)


def apply_bare(bare: Bare, items: int, seconds: float) -> Rate:
    source = pairs(items)
    times: list[float] = []
    while sum(times) < seconds:
        some = list(islice(source, BATCH))
        began = time.perf_counter()
        bare.apply(some)
        times.append(time.perf_counter() - began)
    return _rate(times)


def pairs(items: int) -> Iterator[Pair]:
    """Likes by new users."""
    rng = Random(items)
    for user in ids.new_users(ids.start()):
        yield user, ids.item(rng.randrange(items))


def rate_row(figure: str, what: str, ours: list[Rate], peers: list[Rate], targets: Bounds) -> Row:
    """A row of likes a second beside the bare loop; percentiles are of one batch."""
    chosen, peer = median_rate(ours), median_rate(peers)
    return Row(
        figure=figure,
        what=what,
        value=chosen.per_second,
        unit="/s",
        samples=[rate.per_second for rate in ours],
        p99_ms=chosen.p99_ms,
        peer_name="bare bulk loop",
        peer=peer.per_second,
        peer_p99_ms=peer.p99_ms,
        peer_samples=[rate.per_second for rate in peers],
        targets=targets,
        notes=[f"percentiles are per {BATCH:,}"],
    )


def median_rate(rates: list[Rate]) -> Rate:
    middle = median_low([rate.per_second for rate in rates])
    return next(rate for rate in rates if rate.per_second == middle)


def _rate(times: list[float]) -> Rate:
    likes = len(times) * BATCH
    return Rate(likes / sum(times), percentile(times, 99) * 1e3, likes)


def _write_csv(file: Path, likes: int) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.write("user_id,item_id\n")
        out.writelines(f"{user},{item}\n" for user, item in islice(pairs(SPREAD_ITEMS), likes))
