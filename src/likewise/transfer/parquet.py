"""Likes in Parquet files. pyarrow is imported only here, and only when such a file is read or written."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, BinaryIO

from ..errors import Fault, InvalidInput, SetupError
from ..model import Like, Op
from .formats import COLUMNS, REQUIRED, Format
from .reading import BATCH_OPS, TEXT_SHOWN_MAX, Batch, Changed, Mark, Rejected
from .rows import liked_of, time_of

ROW_GROUP_ROWS = 100_000


def read_parquet(stream: BinaryIO, after: Mark | None = None) -> Iterator[Batch]:
    """The rows of a Parquet file behind `after`, as `reading.read_text` does it; rows are numbered from 1.

    `liked_at` may be a timestamp (one without a time zone is taken as UTC), text, or epoch seconds.
    """
    pyarrow = _pyarrow()
    digest = _digest(stream)
    if after is not None and (after.format, after.digest) != (Format.PARQUET.value, digest):
        raise Changed
    try:
        file = pyarrow.parquet.ParquetFile(stream)
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidInput(Fault("", f"not a Parquet file ({error})")) from error
    _check_columns(file.schema_arrow, pyarrow)
    return _batches(file, pyarrow, after.lines if after else 0, digest)


class ParquetWriter:
    """Writes likes to a Parquet file, in row groups."""

    def __init__(self, stream: BinaryIO) -> None:
        self._pyarrow = _pyarrow()
        text, time = self._pyarrow.string(), self._pyarrow.timestamp("us", "UTC")
        self._schema = self._pyarrow.schema(
            [("user_id", text), ("item_id", text), ("item_type", text), ("liked_at", time)]
        )
        self._writer = self._pyarrow.parquet.ParquetWriter(stream, self._schema)
        self._waiting: list[Like] = []

    def write(self, likes: Sequence[Like]) -> None:
        self._waiting += likes
        while len(self._waiting) >= ROW_GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        if self._waiting:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        group, self._waiting = self._waiting[:ROW_GROUP_ROWS], self._waiting[ROW_GROUP_ROWS:]
        columns = {
            name: self._pyarrow.array([getattr(like, name) for like in group], self._schema.field(name).type)
            for name in self._schema.names
        }
        self._writer.write_table(self._pyarrow.table(columns, self._schema))


def _pyarrow() -> Any:
    try:
        pyarrow: Any = import_module("pyarrow")
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise SetupError("Parquet needs pyarrow: pip install 'likewise[parquet]'. CSV and NDJSON do not.") from error
    return pyarrow


def _digest(stream: BinaryIO) -> str:
    digest = hashlib.blake2b(digest_size=16)
    stream.seek(0)
    while data := stream.read(2**20):
        digest.update(data)
    stream.seek(0)
    return digest.hexdigest()


def _check_columns(schema: Any, pyarrow: Any) -> None:
    expected = f"it must have {' and '.join(REQUIRED)} and may have {', '.join(COLUMNS[2:])}"
    for name in REQUIRED:
        if name not in schema.names:
            raise InvalidInput(Fault(name, f"the file has no such column; {expected}"))
    for name in schema.names:
        if name not in COLUMNS:
            raise InvalidInput(Fault(name, f"this column is none of ours; {expected}"))
    for name in COLUMNS[:3]:
        if name in schema.names and not _is_text(schema.field(name).type, pyarrow.types):
            raise InvalidInput(Fault(name, f"this column must be text, not {schema.field(name).type}"))


def _is_text(kind: Any, types: Any) -> bool:
    if types.is_dictionary(kind):
        return _is_text(kind.value_type, types)
    return types.is_null(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _batches(file: Any, pyarrow: Any, skip: int, digest: str) -> Iterator[Batch]:
    done = 0
    for table in file.iter_batches(batch_size=BATCH_OPS):
        first, done = done + 1, done + table.num_rows
        if done <= skip:
            continue
        columns = [_values(table, name, pyarrow) for name in COLUMNS]
        yield _batch(first, list(zip(*columns, strict=True)), Mark(Format.PARQUET.value, 0, done, digest))


def _values(table: Any, name: str, pyarrow: Any) -> list[Any]:
    if name not in table.schema.names:
        return [None] * table.num_rows
    column = table.column(name)
    if pyarrow.types.is_timestamp(column.type):
        return [_Micros(us) if us is not None else None for us in _micros(column, pyarrow)]
    try:
        return column.to_pylist()
    except UnicodeDecodeError:  # Parquet does not make sure that text is UTF-8; each row for itself, then
        return [_decoded(value) for value in column.cast(pyarrow.binary()).to_pylist()]


class _Micros(int):
    """A time that is in microseconds already."""


def _micros(column: Any, pyarrow: Any) -> list[int | None]:
    time = pyarrow.timestamp("us", column.type.tz)
    return column.cast(time, safe=False).cast(pyarrow.int64()).to_pylist()


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _batch(first: int, rows: list[tuple[Any, ...]], mark: Mark) -> Batch:
    batch = Batch([], [], [], [], mark)
    for number, row in enumerate(rows, first):
        text = ",".join("" if value is None else str(value) for value in row).rstrip(",")
        try:
            op = _op(*row)
        except ValueError as error:
            batch.rejected.append(Rejected(number, str(error), text[:TEXT_SHOWN_MAX]))
            continue
        batch.ops.append(op)
        batch.lines.append(number)
        batch.texts.append(text)
    return batch


def _op(user_id: Any, item_id: Any, item_type: Any, liked_at: Any, liked: Any) -> Op:
    for name, value in zip(COLUMNS, (user_id, item_id, item_type), strict=False):
        if isinstance(value, bytes):
            raise ValueError(f"{name}: not UTF-8")
    time = int(liked_at) if isinstance(liked_at, _Micros) else time_of(liked_at)
    return Op(user_id, item_id, liked_of(liked), item_type or None, time)
