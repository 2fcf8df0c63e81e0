"""Whose directory it is: what is refused, in which words, and that what is refused is left as it was."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from likewise.errors import InvalidInput, NotAStore, SetupError, StoreFailed, StoreInUse
from likewise.store import open_store
from likewise.store.rocksdb import RocksStore
from likewise.store.rocksdb.folder import FORMAT, LOCK, MARK, NEW_MARK
from tests.clocks import NEW_YEAR, SECOND, SetClock
from tests.elsewhere import OPEN, opened_elsewhere
from tests.needs import needs
from tests.ops import all_changes, all_likers, all_likes, everything, like

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files and permissions")


def content(folder: Path) -> dict[str, bytes]:
    """All files, but for the lock, whose owner notes itself in it."""
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != LOCK}


async def fill(store: RocksStore, users: int = 40) -> None:
    for n in range(users):
        await store.apply([like(f"u{n:03}", f"i{k}", "post", n + k) for k in range(20)])


@needs_posix
async def test_one_folder_has_one_owner_through_every_link(store: RocksStore, folder: Path, path: Path) -> None:
    (folder / "link").symlink_to("likes", target_is_directory=True)
    (folder / "links").symlink_to(folder, target_is_directory=True)
    for name in ("link", "likes/", "likes/.", "links/likes", "links/link", "likes/../likes"):
        with pytest.raises(StoreInUse):
            await open_store(f"rocksdb:{folder / name}")


async def test_a_folder_with_other_files_is_refused_and_left_as_it_was(path: Path, url: str) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("precious")
    before = content(path)
    with pytest.raises(NotAStore, match="holds other files"):
        await open_store(url)
    assert content(path) == before
    assert not (path / LOCK).exists()


async def test_a_database_of_another_application_is_refused_and_left_as_it_was(path: Path, url: str) -> None:
    other = Rdict(str(path), Options(raw_mode=True))
    other.put(b"precious", b"everything")
    other.close()
    before = content(path)
    with pytest.raises(NotAStore, match="holds other files"):
        await open_store(url)
    assert content(path) == before


async def test_a_folder_of_another_format_is_refused_and_left_as_it_was(
    store: RocksStore, path: Path, url: str
) -> None:
    await store.close()
    (path / MARK).write_text(f'{{"format": {FORMAT + 1}, "since": "another time"}}')
    before = content(path)
    with pytest.raises(NotAStore, match="another version of likewise"):
        await open_store(url)
    assert content(path) == before


@pytest.mark.parametrize("mark", [b"", b"\xff" * 30, b"{}", b'{"format": "1"}', b"[1]", b"null"])
async def test_a_damaged_mark_is_refused(store: RocksStore, path: Path, url: str, mark: bytes) -> None:
    await fill(store, 3)
    await store.close()
    (path / MARK).write_bytes(mark)
    before = content(path)
    for _ in range(2):
        with pytest.raises(NotAStore, match=f"{MARK} is damaged"):
            await open_store(url)
    assert content(path) == before


async def test_an_empty_folder_becomes_a_store(path: Path, url: str) -> None:
    path.mkdir()
    store = await open_store(url)
    await store.apply([like("u", "i")])
    await store.close()


@pytest.mark.parametrize("left", [[LOCK], [LOCK, NEW_MARK], [LOCK, MARK], [LOCK, MARK, "MANIFEST-000001", "LOG"]])
async def test_what_a_process_left_that_died_while_it_made_a_store_becomes_one(
    store: RocksStore, path: Path, url: str, left: list[str]
) -> None:
    await store.close()
    mark = (path / MARK).read_bytes()
    shutil.rmtree(path)
    path.mkdir()
    for name in left:
        (path / name).write_bytes(mark if name == MARK else b"")
    again = await open_store(url)
    await again.apply([like("u", "i")])
    await again.close()


@pytest.mark.slow
@needs_posix
async def test_killed_at_any_step_of_making_a_store_it_can_be_opened(folder: Path) -> None:
    """Each system call that changes a folder or syncs may be the last one."""
    strace = needs("strace")
    made = f"import asyncio\nfrom likewise.store import open_store\nasyncio.run(open_store('rocksdb:{folder}/likes'))"
    for call in ("rename", "fdatasync", "fsync", "mkdir"):
        for n in range(1, 30):
            shutil.rmtree(folder / "likes", ignore_errors=True)
            inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}"]
            tracing = [strace, "-f", "-o", os.devnull, *inject]
            if subprocess.run([*tracing, sys.executable, "-c", made]).returncode == 0:
                break  # it made no more of these calls
            store = await open_store(f"rocksdb:{folder}/likes")
            await store.apply([like("u", "i")])
            assert (await store.verify()).drifted == 0
            await store.close()
        else:
            raise AssertionError("it never came to an end")


@pytest.mark.parametrize("missing", ["CURRENT", "MANIFEST-*", "*.sst"])
async def test_a_folder_from_which_a_file_is_missing_is_damaged(
    store: RocksStore, path: Path, url: str, missing: str
) -> None:
    await fill(store)
    await store.close()
    files = sorted(path.glob(missing))
    assert files
    for file in files:
        kept = file.read_bytes()
        file.unlink()
        for _ in range(2):  # and it is not kept locked
            with pytest.raises(NotAStore, match=r"is damaged.*Bring back a backup"):
                await open_store(url)
        file.write_bytes(kept)
    again = await open_store(url)
    assert (await again.stats()).likes == 800
    await again.close()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, damage) for name in ("CURRENT", "*.sst") for damage in ("empty", "half", "zeros")),
        # Cut short it is taken as it stood earlier, as after a crash; nothing outside of it tells.
        *(("MANIFEST-*", damage) for damage in ("empty", "zeros")),
    ],
)
async def test_a_file_of_another_size_or_content_is_damaged(
    store: RocksStore, path: Path, url: str, name: str, damage: str
) -> None:
    await fill(store)
    await store.close()
    for file in sorted(path.glob(name)):
        kept = file.read_bytes()
        file.write_bytes({"empty": b"", "half": kept[: len(kept) // 2], "zeros": bytes(len(kept))}[damage])
        with pytest.raises(NotAStore, match=r"is damaged.*Bring back a backup"):
            await open_store(url)
        file.write_bytes(kept)


READS = [
    lambda store: everything(store, 100),
    lambda store: all_likes(store, "u007"),
    lambda store: all_likers(store, "i7", 100),
    lambda store: all_likers(store, "i7", 100, ["u001", "u039"]),
    lambda store: store.liked([("u001", "i1"), ("u039", "i19"), ("nobody", "i")]),
    lambda store: store.counts([f"i{n}" for n in range(20)]),
    lambda store: store.summaries(["i3", "i4"], "u011", None, 3),
    lambda store: all_changes(store, None, 100),
    lambda store: store.verify(),
]


@pytest.mark.parametrize("places", [2, pytest.param(60, marks=pytest.mark.slow)])
async def test_flipped_bytes_in_a_file_are_an_error_and_never_a_shorter_answer(
    store: RocksStore, path: Path, places: int
) -> None:
    """Wherever a bit is wrong: each read is as it was, or a clear error, at opening or when it comes there."""
    await fill(store)
    expected = [await read(store) for read in READS]
    await store.close()
    refused, errors = 0, 0
    for file in sorted(path.glob("*.sst")):
        kept = file.read_bytes()
        for at in range(3, len(kept), len(kept) // places):
            shutil.copytree(path, path.with_name("damaged"))
            damaged = path.with_name("damaged") / file.name
            damaged.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
            try:
                again = await open_store(f"rocksdb:{damaged.parent}")
            except NotAStore as error:
                refused += "is damaged" in str(error)
            else:
                for read, answer in zip(READS, expected, strict=True):
                    try:
                        assert await read(again) == answer
                    except StoreFailed as error:
                        errors += "could not be read" in str(error)
                await again.close()
            shutil.rmtree(damaged.parent)
    assert refused
    assert errors


async def test_a_write_that_cannot_read_what_it_meets_fails_and_changes_nothing(
    store: RocksStore, path: Path, url: str
) -> None:
    users = [f"u{n:04}" for n in range(4_000)]
    await store.apply([like(user, "i") for user in users])
    await store.close()
    (points,) = (file for file in path.glob("*.sst") if b"nepoch" in file.read_bytes())
    kept = points.read_bytes()
    middle = len(kept) // 3  # behind the notes, which opening reads
    points.write_bytes(kept[:middle] + b"\xff" * 64 + kept[middle + 64 :])
    again = await open_store(url)
    failed = 0
    for size in (250, 1_000):  # folded in the event loop, and in the thread
        for start in range(0, 4_000, size):
            try:
                outcomes = await again.apply([like(user, "i") for user in users[start : start + size]])
                assert not any(outcome.changed for outcome in outcomes)
            except StoreFailed as error:
                failed += bool(re.search("could not be read.*bring back a backup", str(error)))
    assert failed >= 2
    await again.close()
    points.write_bytes(kept)
    again = await open_store(url)
    assert (await again.stats()).likes == 4_000
    assert (await again.stats()).position.offset(0) == 4_000
    await again.close()


async def test_a_store_that_could_not_be_opened_is_not_kept_locked(store: RocksStore, path: Path, url: str) -> None:
    await store.apply([like("u", "i")])
    await store.close()
    (points,) = (file for file in path.glob("*.sst") if b"nepoch" in file.read_bytes())
    kept = points.read_bytes()
    points.write_bytes(b"\xff" * 64 + kept[64:])
    errors: list[NotAStore] = []  # held, with all that their tracebacks hold
    for _ in range(2):
        with pytest.raises(NotAStore, match="block checksum mismatch") as caught:
            await open_store(url)
        errors.append(caught.value)
    points.write_bytes(kept)
    await (await open_store(url)).close()
    assert len(errors) == 2


@needs_posix
async def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())  # and not below tmp_path, whose parents only its owner may pass
    try:
        folder.chmod(0o555)
        scratch = [f"rocksdb:{tmp_path}/scratch"] if os.getuid() == 0 else []
        said = opened_elsewhere(f"rocksdb:{folder}", *scratch)
        assert said.startswith("SetupError")
        assert "may write to" in said
        said = opened_elsewhere(f"rocksdb:{folder}/likes", *scratch)
        assert said.startswith("SetupError")
        assert "Permission denied" in said
    finally:
        folder.chmod(0o755)
        folder.rmdir()


@needs_posix
async def test_a_folder_whose_files_may_not_be_written_is_refused(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o777)
        await (await open_store(f"rocksdb:{folder}")).close()
        for file in folder.iterdir():
            file.chmod(0o666 if file.name == LOCK else 0o444)
        scratch = [f"rocksdb:{tmp_path}/scratch"] if os.getuid() == 0 else []
        said = opened_elsewhere(f"rocksdb:{folder}", *scratch)
        assert said.startswith("SetupError")
        assert "Check the folder's rights" in said
    finally:
        shutil.rmtree(folder)


async def test_a_missing_parent_is_refused_in_words_that_help(folder: Path) -> None:
    with pytest.raises(SetupError, match=f"mkdir -p {folder}/nowhere"):
        await open_store(f"rocksdb:{folder}/nowhere/likes")


@pytest.mark.parametrize("name", ["likes", "likes/"])
async def test_a_file_is_no_store(folder: Path, path: Path, name: str) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(SetupError, match="is a file; name a folder"):
        await open_store(f"rocksdb:{folder}/{name}")
    assert path.read_bytes() == b"precious"


async def test_a_path_may_hold_any_character(folder: Path) -> None:
    for name in ("a b", "50%", "é😀", "#1", "a&b"):
        path = folder / name
        store = await open_store("rocksdb:" + str(path).replace("%", "%25").replace("?", "%3F"))
        await store.apply([like("u", "i")])
        await store.close()
        assert (path / MARK).exists()


@pytest.mark.parametrize(
    "wrong", ["?cache_mb=1", "?memory_mb=much", "?memory_mb", "?memory_mb=", "?memory_mb=64.5", "?vfs=x", "?format=1"]
)
async def test_settings_that_are_none_are_refused(path: Path, wrong: str) -> None:
    with pytest.raises(SetupError, match="Known settings: memory_mb, changes_kept_days"):
        await open_store(f"rocksdb:{path}{wrong}")
    assert not path.exists()


@pytest.mark.parametrize("value", ["0", "15", "-1", str(2**20 + 1), "nan", "inf", "1e300"])
async def test_memory_is_bounded(path: Path, value: str) -> None:
    with pytest.raises(SetupError, match="memory_mb"):
        await open_store(f"rocksdb:{path}?memory_mb={value}")
    assert not path.exists()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "1e300"])
async def test_retention_is_bounded(path: Path, value: str) -> None:
    with pytest.raises(SetupError, match="changes_kept_days"):
        await open_store(f"rocksdb:{path}?changes_kept_days={value}")


async def test_settings_follow_the_question_mark(path: Path) -> None:
    store = await open_store(f"rocksdb:{path}?memory_mb=17&changes_kept_days=0.5")
    assert isinstance(store, RocksStore)
    assert (store._settings.memory_mb, store._settings.changes_kept_days) == (17, 0.5)
    await store.close()


def test_without_its_driver_the_tier_says_how_to_install_it(path: Path) -> None:
    missing = "import sys; sys.modules['rocksdict'] = None"  # what import then says is what it says where it is missing
    said = subprocess.run(
        [sys.executable, "-c", missing + OPEN, f"rocksdb:{path}"], capture_output=True, text=True, check=True
    ).stdout
    assert said == "SetupError None rocksdb: needs rocksdict. Install it with: pip install 'likewise[rocksdb]'\n"
    assert not path.exists()


async def test_a_position_of_another_folder_is_refused(store: RocksStore, folder: Path) -> None:
    other = await open_store(f"rocksdb:{folder}/other", clock=SetClock(NEW_YEAR + SECOND))
    (outcome,) = await other.apply([like("u", "i")])
    await other.close()
    await store.apply([like("u", "i")])
    assert outcome.position is not None
    with pytest.raises(InvalidInput):
        await store.reach(outcome.position)


async def test_a_file_that_vanishes_meanwhile_is_no_error_of_stats(
    store: RocksStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RocksDB removes files whenever it has merged them."""
    files = list(path.iterdir())
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([*files, path / "000099.sst"]))
    assert (await store.stats()).bytes_on_disk > 0
