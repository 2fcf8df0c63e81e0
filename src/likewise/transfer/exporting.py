"""Writing likes to a file, in bytewise order of user and item, so that the same likes make the same file."""

import csv
import gzip
import io
import os
import sys
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from ..model import PAGE_LIMIT_MAX, Like, Page
from ..store.contract import Store
from ..times import to_rfc3339
from .formats import COLUMNS, STANDARD_STREAM, Format

PAGE_LIKES = 5_000


class Writes(Protocol):
    """What a format needs to be able to do."""

    def write(self, likes: Sequence[Like]) -> None: ...

    def close(self) -> None: ...


class PagesLikes(Protocol):
    """What the export of one user needs: `Likes` has it, and `client.RemoteLikes`."""

    async def likes_page(self, user_id: str, *, limit: int = 20, cursor: str | None = None) -> Page[Like]: ...


async def everything(store: Store) -> AsyncIterator[list[Like]]:
    """All likes of a store."""
    after: tuple[str, str] | None = None
    while likes := await store.scan(after, PAGE_LIKES):
        yield likes
        after = (likes[-1].user_id, likes[-1].item_id)


async def of_user(service: PagesLikes, user_id: str) -> AsyncIterator[list[Like]]:
    """A user's likes, newest first."""
    cursor: str | None = None
    while True:
        page = await service.likes_page(user_id, limit=PAGE_LIMIT_MAX, cursor=cursor)
        yield page.items
        if (cursor := page.next_cursor) is None:
            return


async def export(
    pages: AsyncIterator[list[Like]], name: str, format_: Format, progress: Callable[[int], object] = lambda _: None
) -> int:
    """Write the likes to a file or standard output; returns how many. `progress` is told so after each page.

    A file appears under its name only when it is complete. What is there already and is no plain file (a named pipe, a
    device) is written as it is; a link stays a link, to the new file.
    """
    written = 0
    with _opened(name) as stream:
        sink = writer(stream, format_)
        async for likes in pages:
            sink.write(likes)
            written += len(likes)
            progress(written)
        sink.close()
    return written


class _CsvWriter:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._write([COLUMNS[:4]])

    def write(self, likes: Sequence[Like]) -> None:
        self._write([(like.user_id, like.item_id, like.item_type or "", to_rfc3339(like.liked_at)) for like in likes])

    def close(self) -> None:
        pass

    def _write(self, rows: Sequence[tuple[str, ...]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._stream.write(text.getvalue().encode())


class _Row(msgspec.Struct, omit_defaults=True):
    user_id: str
    item_id: str
    item_type: str | None = None
    liked_at: str | None = None


class _NdjsonWriter:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._encode = msgspec.json.Encoder().encode_lines

    def write(self, likes: Sequence[Like]) -> None:
        rows = [_Row(like.user_id, like.item_id, like.item_type, to_rfc3339(like.liked_at)) for like in likes]
        self._stream.write(self._encode(rows))

    def close(self) -> None:
        pass


def writer(stream: BinaryIO, format_: Format) -> Writes:
    """What writes likes to a stream in this format. Closing it ends the file, and leaves the stream open."""
    match format_:
        case Format.CSV:
            return _CsvWriter(stream)
        case Format.NDJSON:
            return _NdjsonWriter(stream)
        case Format.PARQUET:
            from .parquet import ParquetWriter

            return ParquetWriter(stream)


@contextmanager
def _opened(name: str) -> Generator[BinaryIO, None, None]:
    if name == STANDARD_STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.exists(name) and not os.path.isfile(name):  # to put a file in its place would destroy it
        with open(name, "wb") as file, _packed(file, name) as stream:
            yield stream
        return
    path = Path(os.path.realpath(name))
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file, _packed(file, name) as stream:
            yield stream
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _packed(file: BinaryIO, name: str) -> Generator[BinaryIO, None, None]:
    if not name.endswith(".gz"):
        yield file
        return
    # No name and no time in the header: the same likes make the same file.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        yield packed  # type: ignore[misc]
