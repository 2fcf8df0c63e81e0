"""The server log in tests/data as likes, and what they must come to, worked out without any of likewise's code."""

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

LOG = Path(__file__).parent.parent / "data" / "nasa-1995-08-sample.log"
LINE = re.compile(r'(\S+) - - \[([^\]]+)\] "(?:GET|HEAD|POST) (\S+)[^"]*" \d+ \S+')


class Row(NamedTuple):
    """A request in the log."""

    host: str
    url: str
    time: datetime


def requests(text: str) -> list[Row]:
    """The whole lines of the log, in order."""
    found = [LINE.fullmatch(line) for line in text.split("\n")]
    return [Row(match[1], match[3], datetime.strptime(match[2], "%d/%b/%Y:%H:%M:%S %z")) for match in found if match]


def log() -> list[Row]:
    return requests(LOG.read_text(encoding="latin-1"))


class Expected(NamedTuple):
    """What the rows come to: the first request of a host for a URL is its like, any later one changes nothing."""

    likes: dict[tuple[str, str], datetime]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Expected":
        likes: dict[tuple[str, str], datetime] = {}
        for row in rows:
            likes.setdefault((row.host, row.url), row.time)
        return cls(likes)

    def likers(self, url: str) -> list[tuple[str, datetime]]:
        """Newest first, ties by the host's bytes."""
        found = [(host, time) for (host, liked), time in self.likes.items() if liked == url]
        return sorted(found, key=lambda entry: (-entry[1].timestamp(), entry[0].encode()))

    def likes_of(self, host: str) -> list[tuple[str, datetime]]:
        found = [(url, time) for (liker, url), time in self.likes.items() if liker == host]
        return sorted(found, key=lambda entry: (-entry[1].timestamp(), entry[0].encode()))

    @property
    def hosts(self) -> list[str]:
        return sorted({host for host, _ in self.likes})

    @property
    def urls(self) -> list[str]:
        return sorted({url for _, url in self.likes})


def as_csv(rows: Sequence[Row]) -> bytes:
    """With local times, as the log has them."""
    text = io.StringIO()
    writer = csv.writer(text)  # \r\n, as most spreadsheets write it
    writer.writerow(["liked_at", "item_id", "user_id"])
    writer.writerows([(row.time.isoformat(), row.url, row.host) for row in rows])
    return text.getvalue().encode()


def as_ndjson(rows: Sequence[Row]) -> bytes:
    """With epoch seconds."""
    lines = [{"user_id": row.host, "item_id": row.url, "liked_at": int(row.time.timestamp())} for row in rows]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """With timestamps."""
    import pyarrow
    import pyarrow.parquet

    hosts, urls, times = zip(*rows, strict=True)
    time = pyarrow.array(times, pyarrow.timestamp("ms", "America/New_York"))
    table = pyarrow.table({"user_id": list(hosts), "item_id": list(urls), "liked_at": time})
    pyarrow.parquet.write_table(table, path)
