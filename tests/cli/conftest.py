"""The command line, called in this process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from typer.testing import CliRunner

from likewise.cli import app


class Answer(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        """The lines of `--json`."""
        return [json.loads(line) for line in self.out.split("\n")[:-1]]


class Cli:
    """`cli("count", "post:42")` runs a command in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str | Path, stdin: bytes = b"", code: int = 0) -> Answer:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return Answer(result.exit_code, result.stdout, result.stderr)

    def write(self, name: str, content: bytes | str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    monkeypatch.chdir(tmp_path)
    for name in ("STORE", "URL", "TOKEN", "HOST", "PORT", "IDENTITY"):
        monkeypatch.delenv(f"LIKEWISE_{name}", raising=False)
    yield Cli(tmp_path)
    structlog.reset_defaults()  # the commands log to a stderr that is gone now
