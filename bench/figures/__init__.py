"""The figures by name. Each is a function that takes the run's context and yields rows as it measures them."""

from collections.abc import Callable, Iterator

import msgspec

from ..context import Context
from ..rows import Row
from . import bulk, mixed, reads, scale, writes


class Figure(msgspec.Struct, frozen=True):
    """How to measure it, and the largest filled store it needs: an index into `Stores.sizes`, None for none."""

    measure: Callable[[Context], Iterator[Row]]
    fill: int | None = None


FIGURES = {
    "hot-puts": Figure(writes.hot_puts),
    "spread-puts": Figure(writes.spread_puts),
    "lone-put": Figure(writes.lone_put),
    "count-reads": Figure(reads.count_reads),
    "batch-counts": Figure(reads.batch_counts),
    "read-contention": Figure(writes.read_contention),
    "mixed": Figure(mixed.mixed, fill=1),
    "bulk": Figure(bulk.bulk),
    "import": Figure(bulk.import_csv),
    "footprint": Figure(scale.footprint, fill=2),
    "scale": Figure(scale.scale, fill=2),
    "bulk-scale": Figure(scale.bulk_scale, fill=2),
}
