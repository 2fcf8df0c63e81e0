"""Where an export goes: what is replaced, what is written through, what is left alone."""

import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likewise import Like
from likewise.errors import StoreFailed
from likewise.transfer import exporting
from likewise.transfer.formats import Format

from .conftest import Cli

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


@pytest.fixture
def exported(cli: Cli) -> bytes:
    """The one like that there is, as CSV."""
    cli("like", "alice", "post:1")
    return cli("export").out.encode()


@needs_posix
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_named_pipe_is_written_and_stays_a_pipe(cli: Cli, exported: bytes, format_: str) -> None:
    pipe = cli.folder / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        try:
            cli("export", pipe, "--format", format_)
        finally:
            if not read.done():  # nobody wrote: let the reader go
                os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
        content = read.result()
    assert content == exported if format_ == "csv" else content.startswith(b"PAR1") and content.endswith(b"PAR1")
    assert pipe.is_fifo()
    assert not pipe.with_name("pipe.part").exists()


@needs_posix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link_to_the_new_file(cli: Cli, exported: bytes, there: bool) -> None:
    folder = cli.folder / "elsewhere"
    folder.mkdir()
    file, link = folder / "data", cli.folder / "likes.csv"
    if there:
        file.write_text("old")
    link.symlink_to(Path("elsewhere") / "data")
    cli("export", link)
    assert link.is_symlink()
    assert file.read_bytes() == exported
    assert list(folder.iterdir()) == [file]


def test_a_folder_is_refused_before_anything_is_written(cli: Cli, exported: bytes) -> None:
    (cli.folder / "folder.csv").mkdir()
    assert cli("export", "folder.csv", code=1).err.startswith("likewise: folder.csv: ")
    assert not (cli.folder / "folder.csv.part").exists()


async def test_an_export_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    async def pages() -> AsyncIterator[list[Like]]:
        yield [Like("alice", "post:1", None, 1)]
        raise StoreFailed("the disk failed")

    old = tmp_path / "likes.csv"
    old.write_text("old")
    with pytest.raises(StoreFailed):
        await exporting.export(pages(), str(old), Format.CSV)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
