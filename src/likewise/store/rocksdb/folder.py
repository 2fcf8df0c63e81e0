"""The directory of a store: whether it is ours, and of which format, told before RocksDB touches anything in it."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from ...errors import NotAStore, SetupError
from ..disk import sync

FORMAT = 1
"""Of the keys and values. A directory of another one is refused."""

MARK = "likewise.json"
"""Says that a directory is ours, and of which format."""

NEW_MARK = "likewise.json.new"
"""The same before it is whole."""

LOCK = "likewise.lock"

BRING_BACK = "Bring back a backup of the folder (likewise restore), or begin anew in another one."


class Mark(msgspec.Struct, frozen=True):
    """What stands in a mark. Another format may have more to say."""

    format: int


def own_folder(folder: Path) -> Path:
    """The one path of a store's directory, made if it is not there. Raises SetupError, NotAStore; nothing in a
    directory that is not ours is touched."""
    path = Path(os.path.realpath(folder))
    try:
        path.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        raise SetupError(f"cannot make {path}: its folder does not exist. mkdir -p {path.parent}") from error
    except OSError as error:
        what = "it is a file; name a folder" if path.is_file() else error.strerror
        raise SetupError(f"cannot keep likes in {path}: {what}.") from error
    check(path)
    return path


def check(path: Path) -> bool:
    """Whether a directory is ours already; if not, it can be made so. Raises SetupError, NotAStore."""
    try:
        names = set(os.listdir(path))
    except OSError as error:
        raise SetupError(f"cannot keep likes in {path}: {error.strerror}.") from error
    if MARK in names:
        _check_mark(path, names)
        return True
    if names - {LOCK, NEW_MARK}:
        raise NotAStore(f"{path} holds other files. Give likewise a folder of its own, an empty or a new one.")
    return False


def _check_mark(path: Path, names: set[str]) -> None:
    try:
        found = msgspec.json.decode((path / MARK).read_bytes(), type=Mark).format
    except (OSError, msgspec.DecodeError) as error:
        raise NotAStore(f"{path / MARK} is damaged ({error}). {BRING_BACK}") from error
    if found != FORMAT:
        raise NotAStore(
            f"{path} was written by another version of likewise (format {found}, this one knows {FORMAT}). "
            "Use that version, or another folder."
        )
    if "CURRENT" not in names and any(name.endswith((".sst", ".log")) for name in names):
        raise NotAStore(f"{path} is damaged: its file CURRENT is missing. {BRING_BACK}")


def mark(path: Path) -> None:
    """Make a directory ours, durably."""
    if (path / MARK).exists():
        return
    with open(path / NEW_MARK, "wb") as file:
        file.write(msgspec.json.encode(Mark(FORMAT)))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path / NEW_MARK, path / MARK)
    sync(path)
    sync(path.parent)


def bytes_in(path: Path) -> int:
    """The sizes of a directory's files, while RocksDB makes and removes some."""
    size = 0
    for file in path.iterdir():
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    return size
