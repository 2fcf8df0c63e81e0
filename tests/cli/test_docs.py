"""The documentation is complete: every command, option and setting is in it, with its default."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from likewise.cli import app
from likewise.settings import NAMES, Settings
from likewise.store.sqlite import Settings as SqliteSettings

DOCS = Path(__file__).parent.parent.parent / "docs"
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")} - {"--help"}


def rows(text: str) -> dict[str, list[str]]:
    """The rows of the tables, by their first cell."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells] for cells in lines}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command: str) -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert re.search(rf"^## (.*, )?{command}(,.*)?$", text, re.MULTILINE)
    assert re.search(rf"^(.* \| )?likewise {command}\b", text, re.MULTILINE)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "serve"])
def test_every_option_is_explained(command: str) -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert {name for name in options(COMMANDS[command]) if name not in text} == set()


def test_no_example_uses_an_option_that_is_not_there() -> None:
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    for line in re.findall(r"^(?:.* \| )?likewise ([a-z-]+ .*)$", text, re.MULTILINE):
        command, _, rest = line.partition("#")[0].partition(" ")
        assert set(re.findall(r"--[a-z-]+", rest)) <= options(COMMANDS[command]), line


@pytest.mark.parametrize("field", msgspec.structs.fields(Settings), ids=NAMES)
def test_every_setting_is_documented_with_its_default(field: msgspec.structs.FieldInfo) -> None:
    _, flag, variable, default, meaning = rows((DOCS / "settings.md").read_text(encoding="utf-8"))[field.name]
    assert flag == f"`--{field.name.replace('_', '-')}`"
    assert flag.strip("`") in options(COMMANDS["serve"])
    assert variable == f"`LIKEWISE_{field.name.upper()}`"
    shown = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    assert default == ("none" if field.default is None else f"`{shown}`")
    assert len(meaning) > 10


@pytest.mark.parametrize("field", msgspec.structs.fields(SqliteSettings), ids=lambda field: field.name)
def test_every_setting_of_the_store_is_documented(field: msgspec.structs.FieldInfo) -> None:
    default = rows((DOCS / "settings.md").read_text(encoding="utf-8"))[field.name][1]
    assert default == ("SQLite's own" if field.default is None else f"`{field.default}`")
