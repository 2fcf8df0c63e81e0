"""The formats, and opening a file in one of them."""

import gzip
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import SetupError

COLUMNS = ("user_id", "item_id", "item_type", "liked_at", "liked")
REQUIRED = COLUMNS[:2]

STANDARD_STREAM = "-"
GZIP_MAGIC = b"\x1f\x8b"


class Format(StrEnum):
    """How likes are written in a file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


_BY_SUFFIX = {
    ".csv": Format.CSV,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".parquet": Format.PARQUET,
}


def format_of(name: str, given: Format | None) -> Format:
    """The format of a file: the one given, else by its name; CSV on standard streams. Raises SetupError."""
    if given is not None:
        return given
    if name == STANDARD_STREAM:
        return Format.CSV
    path = Path(name.removesuffix(".gz"))
    if (found := _BY_SUFFIX.get(path.suffix.lower())) is None:
        raise SetupError(f"{name}: what format is that? Say --format {', '.join(Format)}.".replace(", p", " or p"))
    return found


class Source:
    """A file, or standard input, opened to be read; what is gzipped is unpacked.

    `size` is how long the file is, None if that cannot be known; `bytes_read` is how far into it we are.
    """

    def __init__(self, name: str) -> None:
        self.path = None if name == STANDARD_STREAM else Path(name)
        self._raw: BinaryIO = sys.stdin.buffer if self.path is None else self.path.open("rb")
        self.size = self.path.stat().st_size if self.path and self.path.is_file() else None
        gzipped = self.size is not None and self._raw.read(2) == GZIP_MAGIC
        if self.size is not None:
            self._raw.seek(0)
        self.stream: Any = gzip.GzipFile(fileobj=self._raw) if gzipped else self._raw
        """Has `read`, `read1`, `readline` and, for a file, `seek`."""

    @property
    def may_block(self) -> bool:
        """Whether reading may have to wait for someone who writes (a pipe, a terminal)."""
        return self.size is None

    @property
    def bytes_read(self) -> int:
        """How much of the file has been read, packed if it is packed."""
        return 0 if self.size is None else self._raw.tell()

    def close(self) -> None:
        if self.path is not None:
            self._raw.close()
