"""What every figure is given: the sizes of this run, its stores, and short ways to the servers."""

from contextlib import AbstractContextManager
from pathlib import Path

from . import ids, load, servers
from .load import Load
from .rows import Row
from .servers import Server
from .stores import Stores
from .targets import Targets


class Context:
    """One run of the bench."""

    def __init__(self, work: Path, stores: Stores, *, seconds: int, repeat: int) -> None:
        self.work = work
        self.stores = stores
        self.seconds = seconds
        self.repeat = repeat

    @property
    def targets(self) -> Targets:
        """What the tier is to reach."""
        return self.stores.tier.targets

    def likewise(self, folder: Path) -> AbstractContextManager[Server]:
        """Our server over the store in a folder."""
        return servers.likewise(self.stores.url(folder), self.work / f"{folder.name}.log")

    def echo(self, answer: bytes) -> AbstractContextManager[Server]:
        """The bare echo, with the answer that ours gives."""
        return servers.echo(answer, self.work / "echo.log")

    def count_echo(self, ours: Server) -> AbstractContextManager[Server]:
        """The bare echo, answering with what ours says of a count."""
        return self.echo(ours.call("GET", f"/v1/items/{ids.HOT}/count"))

    def likes(self, server: Server, items: int, connections: int, seconds: int | None = None) -> Load:
        return load.likes(server.url, items, connections=connections, seconds=seconds or self.seconds)

    def replay(self, server: Server, file: Path, connections: int, seconds: int | None = None) -> Load:
        return load.replay(server.url, file, connections=connections, seconds=seconds or self.seconds)

    def file(self, name: str) -> Path:
        """Where a file of requests goes."""
        return self.work / "requests" / f"{name}.txt"


def http_row(figure: str, what: str, ours: list[Load], peers: list[Load] | None = None, **rest: object) -> Row:
    """A row of requests a second, from repeated runs of ours and, if given, of a peer's."""
    chosen = load.median_of(ours)
    row = Row(figure=figure, what=what, value=chosen.per_second, unit="/s", failed=load.failed(*ours))
    row.samples = [run.per_second for run in ours]
    row.p50_ms, row.p95_ms, row.p99_ms = chosen.p50_ms, chosen.p95_ms, chosen.p99_ms
    if peers:
        peer = load.median_of(peers)
        row.peer, row.peer_p99_ms = peer.per_second, peer.p99_ms
        row.peer_samples = [run.per_second for run in peers]
        row.failed = row.failed or load.failed(*peers)
    for name, value in rest.items():
        setattr(row, name, value)
    return row
