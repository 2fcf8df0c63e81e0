"""A real server log, as CSV, NDJSON and Parquet: every count and every list held against an independent account."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from likewise import Likes, to_datetime

from . import nasa
from .conftest import Cli

ROWS = nasa.log()
EXPECTED = nasa.Expected.of(ROWS)


@pytest.fixture(params=["csv", "ndjson", "parquet"])
def file(request: pytest.FixtureRequest, cli: Cli) -> Path:
    match request.param:
        case "csv":
            return cli.write("log.csv", nasa.as_csv(ROWS))
        case "ndjson":
            return cli.write("log.ndjson", nasa.as_ndjson(ROWS))
        case _:
            path = cli.folder / "log.parquet"
            nasa.write_parquet(ROWS, path)
            return path


def check(store: str, expected: nasa.Expected) -> None:
    """Every count, every list, nothing else."""
    asyncio.run(_check(store, expected))


async def _check(store: str, expected: nasa.Expected) -> None:
    async with Likes.open(store) as likes:
        assert (await likes.stats()).likes == len(expected.likes)
        for url in expected.urls:
            found = [(like.user_id, to_datetime(like.liked_at)) async for like in likes.likers_of(url)]
            assert found == expected.likers(url)
            assert (await likes.count(url)).count == len(found)
        for host in expected.hosts:
            found = [(like.item_id, to_datetime(like.liked_at)) async for like in likes.likes_of(host)]
            assert found == expected.likes_of(host)
        report = await likes.verify()
        assert (report.likes, report.items, report.drifted) == (len(expected.likes), len(expected.urls), 0)


def test_the_log_is_what_we_think_it_is() -> None:
    text = nasa.LOG.read_text(encoding="latin-1")
    assert text.endswith("\nmiriwo\n")
    assert len(ROWS) > 1_800
    assert len(ROWS) > len(EXPECTED.likes) > 1_000
    assert ROWS[0] == nasa.Row(
        "in24.inetnebr.com",
        "/shuttle/missions/sts-68/news/sts-68-mcc-05.txt",
        datetime(1995, 8, 1, 4, 0, 1, tzinfo=UTC),
    )


def test_every_count_and_every_list_is_right(cli: Cli, file: Path) -> None:
    totals = cli("import", file, "--json").records[0]
    repeated = len(ROWS) - len(EXPECTED.likes)
    assert totals == {
        "read": len(ROWS),
        "liked": len(EXPECTED.likes),
        "unliked": 0,
        "unchanged": repeated,
        "rejected": 0,
    }
    check("sqlite:likes.db", EXPECTED)


def test_importing_twice_changes_nothing(cli: Cli, file: Path) -> None:
    cli("import", file)
    first = cli("export").out
    totals = cli("import", file, "--json").records[0]
    assert (totals["read"], totals["liked"], totals["unchanged"]) == (len(ROWS), 0, len(ROWS))
    assert cli("export").out == first
    check("sqlite:likes.db", EXPECTED)


def test_the_three_formats_come_to_the_same(cli: Cli, file: Path) -> None:
    cli("import", file)
    other = cli.write("other.csv", nasa.as_csv(ROWS))
    assert cli("import", other, "--json").records[0]["liked"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["again.csv", "again.ndjson", "again.parquet", "again.csv.gz", "again.jsonl.gz"])
def test_export_and_import_are_inverse(cli: Cli, name: str) -> None:
    cli("import", cli.write("log.csv", nasa.as_csv(ROWS)))
    cli("export", name)
    cli("import", name, "--store", "sqlite:copy.db")
    check("sqlite:copy.db", EXPECTED)
    (cli.folder / "first").write_bytes((cli.folder / name).read_bytes())
    cli("export", name, "--store", "sqlite:copy.db")
    assert (cli.folder / name).read_bytes() == (cli.folder / "first").read_bytes()


def test_the_log_cut_off_in_the_middle_of_a_line(cli: Cli) -> None:
    """The raw log's last line is half a line; as CSV, half a row, which is reported and no like."""
    whole = nasa.as_csv(ROWS)
    cut = whole[: whole.rindex(b",")]
    answer = cli("import", cli.write("cut.csv", cut), "--json")
    assert answer.records[0]["rejected"] == 1
    assert answer.err == f"line {len(ROWS) + 1}: has 2 fields, and the header names 3\n"
    check("sqlite:likes.db", nasa.Expected.of(ROWS[:-1]))


def test_undoing_half_of_it(cli: Cli) -> None:
    """Every second like of the log undone again, in the same file."""
    pairs = list(EXPECTED.likes)
    undone = set(pairs[::2])
    lines = [f'{row.host},"{row.url}",{int(row.time.timestamp())},true\n' for row in ROWS]
    lines += [f'{host},"{url}",,false\n' for host, url in pairs[::2]]
    totals = cli("import", cli.write("log.csv", "user_id,item_id,liked_at,liked\n" + "".join(lines)), "--json").records[
        0
    ]
    assert (totals["liked"], totals["unliked"]) == (len(pairs), len(undone))
    check("sqlite:likes.db", nasa.Expected({pair: at for pair, at in EXPECTED.likes.items() if pair not in undone}))
