"""Whose file it is: what is refused, in which words, and that a refused file is left as it was."""

import errno
import os
import sys
import tempfile
from pathlib import Path

import apsw
import pytest

from likewise import Likes
from likewise.errors import InvalidInput, NotAStore, SetupError, StoreInUse
from likewise.store import open_store
from likewise.store.sqlite import SqliteStore
from likewise.store.sqlite.database import APPLICATION_ID, VERSION
from tests.clocks import NEW_YEAR, SECOND, SetClock
from tests.elsewhere import opened_elsewhere
from tests.ops import everything, like

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files and permissions")


@pytest.mark.parametrize("content", [b"user,item\n" * 500, b"\x00" * 8192, b"SQLite format 3\x00" + b"\xff" * 4080])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(file: Path, url: str, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(NotAStore, match="not a likewise database"):
        await open_store(url)
    assert file.read_bytes() == content


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("application_id", [0, 77])
async def test_a_database_of_another_application_is_refused_and_left_as_it_was(
    file: Path, url: str, mode: str, application_id: int
) -> None:
    other = apsw.Connection(str(file))
    other.pragma("journal_mode", mode)
    other.execute("create table precious (data); insert into precious values ('everything')")
    other.pragma("application_id", application_id)
    other.close()
    content = file.read_bytes()
    with pytest.raises(NotAStore, match="another application"):
        await open_store(url)
    assert file.read_bytes() == content
    assert not file.with_name("likes.db-wal").exists()


async def test_a_database_of_a_newer_version_is_refused_and_left_as_it_was(
    store: SqliteStore, file: Path, url: str
) -> None:
    await store.apply([like("u", "i")])
    await store.close()
    newer = apsw.Connection(str(file))
    newer.pragma("user_version", VERSION + 1)
    newer.close()
    content = file.read_bytes()
    with pytest.raises(NotAStore, match="newer likewise"):
        await open_store(url)
    assert file.read_bytes() == content


async def test_a_file_is_marked_as_ours(store: SqliteStore, file: Path) -> None:
    await store.close()
    connection = apsw.Connection(str(file))
    assert connection.pragma("application_id") == APPLICATION_ID
    assert connection.pragma("user_version") == VERSION
    connection.close()


@pytest.mark.parametrize("name", ["", "empty"])
async def test_an_empty_file_becomes_a_store(file: Path, url: str, name: str) -> None:
    if name:
        file.touch()
    store = await open_store(url)
    await store.apply([like("u", "i")])
    await store.close()
    assert file.stat().st_size > 0


@needs_posix
async def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())  # and not below tmp_path, whose parents only its owner may pass
    try:
        folder.chmod(0o555)
        scratch = [f"sqlite:{tmp_path}/scratch.db"] if os.getuid() == 0 else []
        said = opened_elsewhere(f"sqlite:{folder}/likes.db", *scratch)
        assert said.startswith("SetupError")
        assert "may write to" in said
    finally:
        folder.chmod(0o755)
        folder.rmdir()


@needs_posix
async def test_a_file_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    try:
        await (await open_store(f"sqlite:{folder}/likes.db")).close()
        (folder / "likes.db").chmod(0o444)
        (folder / "likes.db-lock").chmod(0o666)
        scratch = [f"sqlite:{tmp_path}/scratch.db"] if os.getuid() == 0 else []
        said = opened_elsewhere(f"sqlite:{folder}/likes.db", *scratch)
        assert said.startswith("SetupError")
        assert "Check the folder's rights" in said
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


async def test_a_folder_that_does_not_exist_is_refused_in_words_that_help(folder: Path) -> None:
    with pytest.raises(SetupError, match="folder that exists"):
        await open_store(f"sqlite:{folder}/nowhere/likes.db")


async def test_a_refused_file_is_not_kept_locked(file: Path, url: str) -> None:
    file.write_bytes(b"no database" * 1_000)
    for _ in range(2):
        with pytest.raises(NotAStore):
            await open_store(url)
    file.unlink()
    await (await open_store(url)).close()


async def test_a_path_may_hold_any_character(folder: Path) -> None:
    for name in ("a b.db", "50%.db", "é😀.db", "#1.db", "a&b.db"):
        path = folder / name
        store = await open_store("sqlite:" + str(path).replace("%", "%25").replace("?", "%3F"))
        await store.apply([like("u", "i")])
        await store.close()
        assert path.stat().st_size > 0


@pytest.mark.parametrize("wrong", ["?cache=1", "?cache_mb=much", "?cache_mb", "?cache_mb=", "?changes_kept_days=-1"])
async def test_settings_that_are_none_are_refused(url: str, file: Path, wrong: str) -> None:
    with pytest.raises(SetupError, match="Known settings: cache_mb, changes_kept_days, vfs"):
        await open_store(url + wrong)
    assert not file.exists()


@pytest.mark.parametrize("name", ["cache_mb", "changes_kept_days"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "1e300"])
async def test_settings_are_bounded(url: str, name: str, value: str) -> None:
    with pytest.raises(SetupError, match=name):
        await open_store(f"{url}?{name}={value}")


@pytest.mark.parametrize("name", ["folder", "folder/", ".", "..", "folder/..", "/"])
async def test_a_folder_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SetupError, match="is a folder; name a file in it"):
        await open_store(f"sqlite:{name}")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


@needs_posix
async def test_what_is_no_plain_file_is_no_store(folder: Path, file: Path, url: str) -> None:
    os.mkfifo(file)
    with pytest.raises(SetupError, match="is not a file"):
        await open_store(url)
    assert list(folder.iterdir()) == [file]


@needs_posix
async def test_one_file_has_one_owner_through_every_link(store: SqliteStore, folder: Path, file: Path) -> None:
    (folder / "link.db").symlink_to("likes.db")
    (folder / "links").symlink_to(folder, target_is_directory=True)
    for name in ("link.db", "links/likes.db", "links/link.db"):
        with pytest.raises(StoreInUse):
            await open_store(f"sqlite:{folder / name}")
    await store.close()
    through = await open_store(f"sqlite:{folder}/link.db")
    with pytest.raises(StoreInUse):
        await open_store(f"sqlite:{file}")
    wal = file.with_name("likes.db-wal")
    assert (await through.stats()).bytes_on_disk == file.stat().st_size + wal.stat().st_size
    await through.close()
    assert not (folder / "link.db-lock").exists()


@needs_posix
async def test_a_link_to_no_file_yet_makes_that_file(folder: Path, file: Path) -> None:
    (folder / "link.db").symlink_to("likes.db")
    await (await open_store(f"sqlite:{folder}/link.db")).close()
    assert file.stat().st_size > 0
    assert (folder / "link.db").is_symlink()


@needs_posix
async def test_a_file_of_two_names_is_refused_under_both(store: SqliteStore, folder: Path, file: Path) -> None:
    await store.close()
    (folder / "other.db").hardlink_to(file)
    for name in ("likes.db", "other.db"):
        with pytest.raises(SetupError, match=r"2 names \(hard links\).*Remove the other names"):
            await open_store(f"sqlite:{folder / name}")
    assert not (folder / "other.db-lock").exists()
    (folder / "other.db").unlink()
    await (await open_store(f"sqlite:{file}")).close()


async def test_a_damaged_file_is_no_store(store: SqliteStore, file: Path, url: str) -> None:
    await store.apply([like(f"u{n}", f"i{n}") for n in range(500)])
    await store.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    for _ in range(2):  # and it is not kept locked
        with pytest.raises(NotAStore, match=f"{file} is damaged"):
            await open_store(url)
    assert file.read_bytes() == content


async def test_a_file_without_its_notes_is_no_store(store: SqliteStore, file: Path, url: str) -> None:
    await store.close()
    connection = apsw.Connection(str(file))
    connection.execute("delete from notes").fetchall()
    connection.close()
    with pytest.raises(NotAStore, match="is damaged"):
        await open_store(url)


async def test_settings_follow_the_question_mark(url: str) -> None:
    store = await open_store(url + "?cache_mb=8&changes_kept_days=0.5")
    assert isinstance(store, SqliteStore)
    assert (store._settings.cache_mb, store._settings.changes_kept_days) == (8, 0.5)
    await store.close()


async def test_a_position_of_another_file_is_refused(store: SqliteStore, folder: Path) -> None:
    other = await open_store(f"sqlite:{folder}/other.db", clock=SetClock(NEW_YEAR + SECOND))
    (outcome,) = await other.apply([like("u", "i")])
    await other.close()
    await store.apply([like("u", "i")])
    assert outcome.position is not None
    with pytest.raises(InvalidInput):
        await store.reach(outcome.position)


async def test_people_with_a_sql_prompt_see_the_likes(store: SqliteStore, file: Path) -> None:
    await store.apply([like("u", "i", "post", 5), like("v", "i")])
    prompt = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    assert prompt.execute("select user_id, item_id, item_type, liked_at from likes order by 1").fetchone() == (
        "u",
        "i",
        "post",
        5,
    )
    assert prompt.execute("select item_id, likes, version from counts").fetchall() == [("i", 2, 2)]
    prompt.close()


async def test_the_library_opens_it_by_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    async with Likes.open() as likes:
        await likes.like("u", "i")
        assert len(await everything(likes.store)) == 1
    assert (folder / "likes.db").exists()


async def test_a_store_on_a_full_disk_can_be_opened_to_be_read(
    store: SqliteStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.apply([like("u", "i")])
    await store.close()

    def no_room(handle: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", no_room)  # the note of who owns the file is the only thing that opening writes
    again = await open_store(url)
    assert len(await everything(again)) == 1
    await again.close()
