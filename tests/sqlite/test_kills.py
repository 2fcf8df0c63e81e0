"""The check of what a crash left (tests/crash) is itself checked: it finds whatever a crash could do to this tier."""

from pathlib import Path

import apsw
import pytest

from likewise.store import open_store
from tests.crash.history import asked_and_answered


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("delete from {} where user_id = 'u1'", "a like lost"),
        ("insert into user_likes values ('u1', 0, 'i6', null, 5), ('u1', ~5, 'i6', null, 5)", "invented"),
        ("delete from changes where seq = 2", "a gap"),
        ("delete from changes where seq > 1", "fold to another state"),
        ("update item_likes set likes = 7 where rank = 0", "is not the number of its likers"),
    ],
)
async def test_the_check_finds_what_a_crash_could_do(url: str, file: Path, sql: str, found: str) -> None:
    store = await open_store(url)
    history = await asked_and_answered(store)
    await store.close()
    connection = apsw.Connection(str(file))
    for table in ("user_likes", "item_likes"):
        connection.execute(sql.format(table))
        if "{}" not in sql:
            break
    connection.close()
    store = await open_store(url)
    assert any(found in problem for problem in await history.problems(store))
    await store.close()
