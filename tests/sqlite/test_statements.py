"""Every statement prepares, and the hot ones find their rows by primary key."""

import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from likewise.store.sqlite import SqliteStore
from likewise.store.sqlite.database import open_database, statements

HOT = statements("statements.sql")
VERIFY = statements("verify.sql")

MADE_ONCE = {"create_batch", "create_apply"}
"""The writer's own view and trigger: `apply` is planned through them."""

SCANS_ALLOWED = {
    # An ordered walk of the primary key that ends after one row.
    ("change_bounds", "changes"),
    # Verification counts all likes in one snapshot, on its own connection.
    ("totals", "user_likes"),
    ("recount_likes", "user_likes"),
}


@pytest.fixture
def connection(file: Path) -> Iterator[apsw.Connection]:
    connection = open_database(file, 8, 1)
    for name in sorted(MADE_ONCE, reverse=True, key=lambda name: name == "create_batch"):
        connection.execute(HOT[name])
    yield connection
    connection.close()


def plan(connection: apsw.Connection, sql: str) -> list[str]:
    holes = max((int(hole) for hole in re.findall(r"\?(\d)", sql)), default=0)
    return [row[3] for row in connection.execute("explain query plan " + sql, ("[]",) * holes)]


@pytest.mark.parametrize("name", sorted((HOT.keys() | VERIFY.keys()) - MADE_ONCE))
def test_a_statement_prepares_and_scans_no_table(connection: apsw.Connection, name: str) -> None:
    sql = HOT.get(name) or VERIFY[name]
    for step in plan(connection, sql):
        scanned = re.match(r"SCAN (\w+)", step)
        if scanned and "VIRTUAL TABLE" not in step and _is_table(connection, sql, scanned[1]):
            assert (name, scanned[1]) in SCANS_ALLOWED, step


def _is_table(connection: apsw.Connection, sql: str, name: str) -> bool:
    """Whether a name in a plan is a table of ours, by its own name or an alias of one letter, and no subquery."""
    tables = [row[0] for row in connection.execute("select name from sqlite_schema where type = 'table'")]
    return name in tables or any(re.search(rf"\b{table} {name}\b", sql) for table in tables)


def test_the_check_of_plans_finds_a_scan(connection: apsw.Connection) -> None:
    for sql in ("select 1 from user_likes where item_id = ?1", "select 1 from changes c where at > ?1"):
        (step,) = plan(connection, sql)
        scanned = re.match(r"SCAN (\w+)", step)
        assert scanned
        assert _is_table(connection, sql, scanned[1])


@pytest.mark.parametrize("name", ["state", "tallies", "liked"])
def test_lookups_by_batch_use_the_whole_key(connection: apsw.Connection, name: str) -> None:
    searches = [step for step in plan(connection, HOT[name]) if step.startswith("SEARCH")]
    assert searches
    assert all(step.count("=?") == 3 for step in searches)


@pytest.mark.parametrize("name", ["timeline", "timeline_of_type", "likers"])
def test_a_page_is_read_in_order_without_sorting(connection: apsw.Connection, name: str) -> None:
    steps = plan(connection, HOT[name])
    assert not any("TEMP B-TREE" in step for step in steps)
    assert "SEARCH" in steps[0]


def test_every_statement_is_used() -> None:
    source = "".join(path.read_text() for path in Path(SqliteStore.open.__code__.co_filename).parent.glob("*.py"))
    assert [name for name in HOT.keys() | VERIFY.keys() if f'"{name}"' not in source] == []
