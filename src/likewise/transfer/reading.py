"""Text to batches of ops, a line a row. What is wrong with a row is said with its line, and the rest goes on.

A row ends where its line ends, also inside quotes: ids hold no control characters, so a quoted line break could only
be a mistake, and this way a stray quote spoils one row and not the rest of the file.
"""

import gzip
import hashlib
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import msgspec

from ..errors import Fault, InvalidInput
from ..model import Op
from .formats import Format
from .rows import Parse, csv_parser, parse_json

BATCH_OPS = 4_000
"""Rows per batch. An importing process makes each one commit: 44k likes/s to SQLite, where 1,000 gave 34k."""

BLOCK_BYTES = 1024 * 1024
LINE_BYTES_MAX = 1024 * 1024
TEXT_SHOWN_MAX = 200
BOM = b"\xef\xbb\xbf"

CUT_OFF = "the compressed file is cut off here"


class Rejected(NamedTuple):
    """A row that was not applied: its line (the row's number in Parquet, from 1), why, and how it begins."""

    line: int
    reason: str
    text: str


class Mark(msgspec.Struct, frozen=True):
    """A place in a file, and the digest of all that lies before it: proof that the file is the same up to there."""

    format: str
    bytes: int
    lines: int
    digest: str


class Batch(msgspec.Struct):
    """Some rows in their order: `ops[k]` was read from line `lines[k]`, which reads `texts[k]`.

    With all of it applied, and every batch before, the file is done up to `mark`, if there is one.
    """

    ops: list[Op]
    lines: list[int]
    texts: list[str]
    rejected: list[Rejected]
    mark: Mark | None = None


class Readable(Protocol):
    """What is needed of a stream of bytes: files have it, and gzipped ones."""

    def read1(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


def read_text(
    stream: Readable, format_: Format, after: Mark | None = None, *, may_block: bool = False
) -> Iterator[Batch]:
    """The rows of a CSV or NDJSON file behind `after`; where reading `may_block`, batches are as small as what comes.

    Raises InvalidInput for a file that cannot be read at all, and Changed if what lies before `after` is not what lay
    there.
    """
    lines = _Lines(stream, format_, may_block)
    parse = csv_parser(lines.take_header()) if format_ is Format.CSV else parse_json
    if after is not None:
        lines.skip_to(after)
    return _batches(lines, parse)


class Changed(Exception):
    """The file is not the one that an earlier import has begun."""


class _Lines:
    """Cuts a stream into pieces of whole lines, counting lines and digesting bytes."""

    def __init__(self, stream: Readable, format_: Format, may_block: bool) -> None:
        self._stream = stream
        self._format = format_
        self._may_block = may_block
        self._ends_early = False
        self.cut_off: Rejected | None = None
        """After the last piece: the line in which a gzipped file ended too early."""
        self._digest = hashlib.blake2b(digest_size=16)
        self._bytes = 0
        self._lines = 0

    def take_header(self) -> str:
        header = b""
        with self._unpacking():
            header = self._stream.readline(LINE_BYTES_MAX)
        self._count(header)
        try:
            return header.removeprefix(BOM).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise InvalidInput(Fault("line 1", "not UTF-8 text; is this a CSV file?")) from None

    def skip_to(self, mark: Mark) -> None:
        with self._unpacking():
            while (left := mark.bytes - self._bytes) > 0 and (data := self._stream.read1(min(left, BLOCK_BYTES))):
                self._count(data)
        if self._mark() != mark:
            raise Changed

    def pieces(self) -> Iterator[tuple[int, bytes, Mark | None]]:
        """Up to `BATCH_OPS` lines at a time: (the first one's number, the lines, the place behind them).

        There is no mark behind a last line without an end: it may be longer when the file has been completed.
        """
        rest = b""
        while data := self._read():
            *lines, rest = (rest + data).split(b"\n")
            for start in range(0, len(lines), BATCH_OPS):
                first, piece = self._lines + 1, b"\n".join(lines[start : start + BATCH_OPS])
                self._count(piece + b"\n")
                yield first, piece, self._mark()
            if len(rest) > LINE_BYTES_MAX:
                problem = f"longer than {LINE_BYTES_MAX:,} bytes; is this a {self._format} file?"
                raise InvalidInput(Fault(f"line {self._lines + 1}", problem))
        if self._ends_early:
            self.cut_off = Rejected(self._lines + 1, CUT_OFF, rest.decode(errors="backslashreplace")[:TEXT_SHOWN_MAX])
        elif rest:
            yield self._lines + 1, rest, None

    def _read(self) -> bytes:
        """The next bytes, a block of them unless we would have to wait for it."""
        data: list[bytes] = []
        left = BLOCK_BYTES
        with self._unpacking():
            while left and (some := self._stream.read1(left)):
                data.append(some)
                left = 0 if self._may_block else left - len(some)
        return b"".join(data)

    @contextmanager
    def _unpacking(self) -> Generator[None, None, None]:
        """A gzipped file that ends too early has a last line like any other, but for `_ends_early`."""
        try:
            yield
        except EOFError:
            self._ends_early = True
        except (zlib.error, gzip.BadGzipFile) as error:
            where = f"behind line {self._lines}"
            raise InvalidInput(Fault(where, f"the compressed file is damaged ({error})")) from error

    def _count(self, data: bytes) -> None:
        self._digest.update(data)
        self._bytes += len(data)
        self._lines += data.count(b"\n")

    def _mark(self) -> Mark:
        return Mark(self._format.value, self._bytes, self._lines, self._digest.hexdigest())


def _batches(lines: _Lines, parse: Parse) -> Iterator[Batch]:
    for first, piece, mark in lines.pieces():
        yield _batch(first, piece, mark, parse)
    if lines.cut_off is not None:
        # It may read as a row, and yet be half of another one.
        yield Batch([], [], [], [lines.cut_off])


def _batch(first: int, piece: bytes, mark: Mark | None, parse: Parse) -> Batch:
    batch = Batch([], [], [], [], mark)
    for number, line in _decoded(first, piece, batch.rejected):
        line = line.removesuffix("\r")
        if not line:
            continue
        try:
            op = parse(line)
        except ValueError as error:
            batch.rejected.append(Rejected(number, str(error), line[:TEXT_SHOWN_MAX]))
            continue
        batch.ops.append(op)
        batch.lines.append(number)
        batch.texts.append(line)
    return batch


def _decoded(first: int, block: bytes, rejected: list[Rejected]) -> Iterator[tuple[int, str]]:
    if first == 1:
        block = block.removeprefix(BOM)
    try:
        yield from enumerate(block.decode().split("\n"), first)
        return
    except UnicodeDecodeError:
        pass
    for number, line in enumerate(block.split(b"\n"), first):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 (byte 0x{line[error.start]:02X} at column {error.start + 1})"
            rejected.append(Rejected(number, reason, line.decode(errors="backslashreplace")[:TEXT_SHOWN_MAX]))
        else:
            yield number, text
