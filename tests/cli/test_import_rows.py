"""Rows that are unusual, and rows and files that are wrong: what is reported, with which line, and what goes on."""

import gzip
import io
import json

import pytest
from hypothesis import given, strategies

from likewise import Like, Op
from likewise.model import problem_with_text
from likewise.times import LATEST
from likewise.transfer import exporting, reading
from likewise.transfer.formats import Format
from likewise.transfer.parquet import read_parquet

from .conftest import Answer, Cli

HEADER = "user_id,item_id,item_type,liked_at,liked\n"


def imported(cli: Cli, content: bytes | str, name: str = "rows.csv", *arguments: str, code: int = 0) -> Answer:
    return cli("import", cli.write(name, content), "--json", *arguments, code=code)


def likes(cli: Cli) -> list[tuple[str, ...]]:
    """Everything in the store."""
    rows = [json.loads(line) for line in cli("export", "--format", "ndjson").out.split("\n")[:-1]]
    return [(row["user_id"], row["item_id"], row.get("item_type", ""), row["liked_at"]) for row in rows]


@pytest.mark.parametrize(
    ("text", "liked_at"),
    [
        ("1995-08-01T00:00:01-04:00", "1995-08-01T04:00:01.000000Z"),
        ("1995-08-01T04:00:01Z", "1995-08-01T04:00:01.000000Z"),
        ("1995-08-01 04:00:01.5+00:00", "1995-08-01T04:00:01.500000Z"),
        ("807249601", "1995-08-01T04:00:01.000000Z"),
        ("807249601.000001", "1995-08-01T04:00:01.000001Z"),
        ("0", "1970-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times(cli: Cli, text: str, liked_at: str) -> None:
    imported(cli, f"{HEADER}alice,post:1,,{text},\n")
    imported(cli, json.dumps({"user_id": "bob", "item_id": "post:1", "liked_at": text}) + "\n", "rows.ndjson")
    assert [row[3] for row in likes(cli)] == [liked_at, liked_at]


def test_json_numbers_are_epoch_seconds(cli: Cli) -> None:
    rows = [
        '{"user_id":"a","item_id":"x","liked_at":807249601}',
        '{"user_id":"b","item_id":"x","liked_at":807249601.25}',
    ]
    imported(cli, "\n".join(rows), "rows.jsonl")
    assert [row[3] for row in likes(cli)] == ["1995-08-01T04:00:01.000000Z", "1995-08-01T04:00:01.250000Z"]


@pytest.mark.parametrize("liked", ["false", "0", "False", "FALSE"])
def test_unlikes(cli: Cli, liked: str) -> None:
    totals = imported(cli, f"{HEADER}a,x,,1,\nb,x,,1,true\nc,x,,1,1\na,x,,,{liked}\n").records[0]
    assert (totals["liked"], totals["unliked"]) == (3, 1)
    assert [row[0] for row in likes(cli)] == ["b", "c"]


def test_columns_may_stand_in_any_order(cli: Cli) -> None:
    imported(cli, "liked,item_id,liked_at,user_id\ntrue,post:1,5,alice\n")
    assert likes(cli) == [("alice", "post:1", "", "1970-01-01T00:00:05.000000Z")]


def test_bom_crlf_quotes_and_blank_lines(cli: Cli) -> None:
    text = '\ufeffuser_id,"item_id",liked_at\r\n"al,ice","say ""hi""",1\r\n\r\n  spaced , x ,2\r\n"ünï",♥,3'
    assert imported(cli, text).records[0]["liked"] == 3
    assert [row[:2] for row in likes(cli)] == [("  spaced ", " x "), ("al,ice", 'say "hi"'), ("ünï", "♥")]


def test_bom_before_json(cli: Cli) -> None:
    assert imported(cli, '\ufeff{"user_id":"a","item_id":"x"}\r\n', "rows.ndjson").records[0]["liked"] == 1


BAD_CSV = {
    "alice": "has 1 fields, and the header names 5",
    "alice,post:1,,,,": "has 6 fields",
    ",post:1,,,": "user_id: must not be empty",
    "alice,,,,": "item_id: must not be empty",
    "alice,post\t1,,,": "U+0009",
    "alice,post\x001,,,": "U+0000",
    "alice,post\x85,,,": "U+0085",
    "alice,post�,,,": "U+FFFD",
    "alice,post:1,,yesterday,": "'yesterday' is not a time",
    "alice,post:1,,2024-01-01T00:00:00,": "is not a time",
    "alice,post:1,,1969-12-31T23:59:59Z,": "liked_at: must be",
    "alice,post:1,,807249601000000,": "liked_at: must be",
    "alice,post:1,,,maybe": "'maybe' is not true or false",
    f"alice,{'x' * 257},,,": "at most 256 bytes",
    f"alice,post:1,{'x' * 65},,": "item_type: must be at most 64",
    '"alice,post:1,,,': "not CSV",
    'alice,"post"1,,,': "not CSV",
    "alice,post\r1,,,": "U+000D",
}


@pytest.mark.parametrize("row", BAD_CSV)
def test_a_bad_row_is_reported_by_its_line_and_the_rest_goes_on(cli: Cli, row: str) -> None:
    answer = imported(cli, f"{HEADER}first,x,,1,\n{row}\nlast,x,,1,\n")
    assert answer.err.startswith("line 3: ")
    assert BAD_CSV[row] in answer.err
    assert answer.records[0] == {"read": 3, "liked": 2, "unliked": 0, "unchanged": 0, "rejected": 1}
    assert [like[0] for like in likes(cli)] == ["first", "last"]


BAD_JSON = {
    '{"user_id":"a"}': "item_id",
    '{"user_id":"a","item_id":"x","extra":1}': "unknown field `extra`",
    '{"user_id":1,"item_id":"x"}': "Expected `str`, got `int`",
    '{"user_id":"a","item_id":"x","liked":2}': "2 is not true or false",
    '{"user_id":"a","item_id":"x","liked_at":1e300}': "is not a time",
    '{"user_id":"a","item_id":"x","liked_at":-1}': "liked_at: must be",
    '{"user_id":"a","item_id":"\\u0000"}': "U+0000",
    '{"user_id":"a","item_id":"x"': "truncated",
    "[1]": "Expected `object`",
    "user_id,item_id": "malformed",
    "null": "Expected `object`",
}


@pytest.mark.parametrize("row", BAD_JSON)
def test_bad_json_rows(cli: Cli, row: str) -> None:
    good = '{"user_id":"first","item_id":"x","liked_at":1}'
    answer = imported(cli, f"{good}\n{row}\n{good.replace('first', 'last')}\n", "rows.ndjson")
    assert answer.err.startswith("line 2: ")
    assert BAD_JSON[row] in answer.err
    assert [like[0] for like in likes(cli)] == ["first", "last"]


@pytest.mark.parametrize(("name", "row"), [("rows.csv", b"b\xffd,x,,1,"), ("rows.ndjson", b'{"user_id":"b\xff"}')])
def test_a_line_that_is_not_utf8(cli: Cli, name: str, row: bytes) -> None:
    good = HEADER + "a,x,,1," if name == "rows.csv" else '{"user_id":"a","item_id":"x"}'
    answer = imported(cli, good.encode() + b"\n" + row + b"\n", name)
    line = good.count("\n") + 2
    assert answer.err.startswith(f"line {line}: not UTF-8 (byte 0xFF at column ")
    assert (answer.records[0]["liked"], answer.records[0]["rejected"]) == (1, 1)


def test_the_last_line_may_lack_its_end(cli: Cli) -> None:
    assert imported(cli, HEADER + "a,x,,1,\nb,x,,1,").records[0]["liked"] == 2


def test_a_last_line_cut_off_in_a_character(cli: Cli) -> None:
    answer = imported(cli, "user_id,item_id\na,x\nb,♥".encode()[:-1])
    assert answer.err.startswith("line 3: not UTF-8")
    assert answer.records[0]["liked"] == 1


def test_many_bad_rows_are_counted_and_the_first_shown(cli: Cli) -> None:
    rows = "".join(f"user:{n},\n" if n % 2 else f"user:{n},x\n" for n in range(10_000))
    answer = imported(cli, "user_id,item_id\n" + rows, "rows.csv", "--rejects", "bad.ndjson")
    assert (answer.records[0]["rejected"], answer.records[0]["liked"]) == (5_000, 5_000)
    assert len(answer.err.splitlines()) == 21
    assert answer.err.splitlines()[-1] == "… and 4,980 more bad rows"
    bad = [json.loads(line) for line in (cli.folder / "bad.ndjson").read_text().splitlines()]
    assert [row["line"] for row in bad] == list(range(3, 10_003, 2))
    assert bad[0] == {"line": 3, "reason": "item_id: must not be empty", "text": "user:1,"}


def test_strict_exits_with_1(cli: Cli) -> None:
    assert imported(cli, "user_id,item_id\na,x\nb\n", "rows.csv", "--strict", code=1).records[0]["liked"] == 1
    imported(cli, "user_id,item_id\na,x\n", "rows.csv", "--strict")


def test_from_a_pipe(cli: Cli) -> None:
    assert cli("import", "-", stdin=b"user_id,item_id\na,x\n").out.startswith("1 rows read: 1 liked")
    assert cli("import", "-", "--format", "ndjson", stdin=b'{"user_id":"b","item_id":"x"}\n').out.startswith("1 rows")


def test_gzip(cli: Cli) -> None:
    rows = "".join(f"user:{n},post:{n % 7}\n" for n in range(20_000))
    packed = gzip.compress(f"user_id,item_id\n{rows}".encode())
    assert imported(cli, packed, "rows.csv.gz").records[0]["liked"] == 20_000


def test_gzip_cut_off(cli: Cli) -> None:
    """Whatever could be unpacked is imported, but the last line, which may be half of one."""
    rows = "".join(f"user:{n},post:{n * 7919 % 1009}\n" for n in range(20_000))
    packed = gzip.compress(f"user_id,item_id\n{rows}".encode())
    answer = imported(cli, packed[: len(packed) // 2], "rows.csv.gz")
    line = answer.records[0]["read"] + 1
    assert answer.err == f"line {line}: the compressed file is cut off here\n"
    assert answer.records[0]["liked"] == answer.records[0]["read"] - 1 > 5_000
    assert cli("status", f"user:{line - 3}", f"post:{(line - 3) * 7919 % 1009}").out.count(" likes ") == 1


def test_gzip_cut_off_in_the_header(cli: Cli) -> None:
    packed = gzip.compress(b"user_id,item_id\na,x\n")
    assert "has no header" in imported(cli, packed[:14], "rows.csv.gz", code=1).err


def test_gzip_damaged(cli: Cli) -> None:
    packed = bytearray(gzip.compress(("user_id,item_id\n" + "a,x\n" * 1_000).encode()))
    packed[-6] ^= 1
    assert "damaged" in imported(cli, bytes(packed), "rows.csv.gz", code=1).err


WRONG_FILES = {
    "": "has no header",
    "alice,post:1\n": "does not name user_id",
    "user_id;item_id\n": "does not name user_id",
    "user_id,item_id,colour\n": "'colour', which is none of ours",
    "user_id,item_id,user_id\n": "user_id twice",
    "User_ID,item_id\n": "does not name user_id",
    '"user_id,item_id\n': "not CSV",
}


@pytest.mark.parametrize("content", WRONG_FILES)
def test_a_wrong_header(cli: Cli, content: str) -> None:
    answer = imported(cli, content, code=1)
    assert answer.err.startswith("likewise: line 1: ")
    assert WRONG_FILES[content] in answer.err
    assert answer.err.count("\n") == 1


def test_files_that_are_something_else(cli: Cli) -> None:
    assert "not UTF-8" in imported(cli, b"\x89PNG\r\n\x1a\n\x00\xff\n", code=1).err
    assert "not a Parquet file" in imported(cli, "PAR1 or not", "rows.parquet", code=1).err
    assert "--format" in imported(cli, HEADER, "rows.txt", code=1).err
    assert "longer than" in imported(cli, "user_id,item_id\n" + "x" * 3_000_000, code=1).err
    assert imported(cli, "", "rows.ndjson").records[0]["read"] == 0


def test_files_that_cannot_be_read(cli: Cli) -> None:
    assert cli("import", "missing.csv", code=1).err == "likewise: missing.csv: No such file or directory\n"
    (cli.folder / "folder.csv").mkdir()
    assert cli("import", "folder.csv", code=1).err == "likewise: folder.csv: Is a directory\n"
    assert not (cli.folder / "likes.db").exists()


def test_parquet_rows(cli: Cli) -> None:
    import pyarrow
    import pyarrow.parquet

    def write(**columns: object) -> None:
        pyarrow.parquet.write_table(pyarrow.table(columns), cli.folder / "rows.parquet")

    users = ["a", "b", "", None]
    write(
        user_id=users,
        item_id=["x"] * 4,
        liked_at=["1995-08-01T04:00:01Z", "5", None, None],
        liked=[True, None, True, False],
    )
    answer = cli("import", "rows.parquet", "--json")
    assert (answer.records[0]["liked"], answer.records[0]["rejected"]) == (2, 2)
    assert answer.err == "line 3: user_id: must not be empty\nline 4: user_id: must be a string\n"
    write(user_id=pyarrow.array(["c"]).dictionary_encode(), item_id=["x"], liked_at=[1.5])
    assert cli("import", "rows.parquet", "--json").records[0]["liked"] == 1
    naive = pyarrow.array([1_500_000_000], pyarrow.timestamp("ns"))
    write(user_id=pyarrow.array(["d"], pyarrow.large_string()), item_id=["x"], liked_at=naive)
    assert cli("import", "rows.parquet", "--json").records[0]["liked"] == 1
    assert [row[3] for row in likes(cli)][2:] == ["1970-01-01T00:00:01.500000Z"] * 2
    write(user_id=[1], item_id=["x"])
    assert "must be text, not int64" in cli("import", "rows.parquet", code=1).err
    write(user_id=["a"], item_id=["x"], colour=["red"])
    assert "colour" in cli("import", "rows.parquet", code=1).err
    write(user_id=["a"])
    assert "item_id" in cli("import", "rows.parquet", code=1).err


def test_parquet_text_that_is_not_utf8(cli: Cli) -> None:
    import pyarrow
    import pyarrow.parquet

    text = pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(b"\x00\0\0\0\x01\0\0\0\x02\0\0\0"), pyarrow.py_buffer(b"\xffa")]
    )
    pyarrow.parquet.write_table(pyarrow.table({"user_id": text, "item_id": ["x", "x"]}), cli.folder / "rows.parquet")
    answer = cli("import", "rows.parquet", "--json")
    assert answer.err == "line 1: user_id: not UTF-8\n"
    assert answer.records[0]["liked"] == 1


def test_parquet_without_pyarrow(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert "likewise[parquet]" in imported(cli, b"PAR1", "rows.parquet", code=1).err


def test_hostile_ids_survive_a_round_trip(cli: Cli) -> None:
    ids = ['"', '""', ",", ' " , ', "'", "=1+1", "a,b", "ü", "♥️", "#", "null", "\\", "\\n", " x", "x "]
    ids += ["\u2028", "\u00a0", "\u200b", "\u00e9", "e\u0301", "A", "a"]
    rows = [{"user_id": id_, "item_id": id_, "item_type": id_, "liked_at": f"{n}.000001"} for n, id_ in enumerate(ids)]
    imported(cli, "\n".join(map(json.dumps, rows)), "rows.ndjson")
    assert {row[:3] for row in likes(cli)} == {(id_, id_, id_) for id_ in ids}
    for name in ("out.csv", "out.ndjson", "out.parquet"):
        cli("export", name)
        cli("import", name, "--store", f"sqlite:{name}.db")
        assert cli("export", "--store", f"sqlite:{name}.db").out == cli("export").out


def test_rejects_do_not_overwrite_what_is_read(cli: Cli) -> None:
    answer = imported(cli, "user_id,item_id\na,x\n", "rows.csv", "--rejects", "./rows.csv", code=1)
    assert "is the file that is read" in answer.err
    assert (cli.folder / "rows.csv").read_text() == "user_id,item_id\na,x\n"


IDS = strategies.text(min_size=1, max_size=60).filter(lambda text: problem_with_text(text) is None)
TYPES = strategies.none() | strategies.text(min_size=1, max_size=10).filter(lambda text: not problem_with_text(text))
LIKES = strategies.builds(Like, IDS, IDS, TYPES, strategies.integers(0, LATEST))


@given(likes=strategies.lists(LIKES), format_=strategies.sampled_from(Format))
def test_whatever_is_written_is_read_back(likes: list[Like], format_: Format) -> None:
    stream = io.BytesIO()
    writer = exporting.writer(stream, format_)
    writer.write(likes)
    writer.close()
    content = io.BytesIO(stream.getvalue())
    read = read_parquet(content) if format_ is Format.PARQUET else reading.read_text(content, format_)
    ops = [op for batch in read for op in batch.ops]
    assert ops == [Op(like.user_id, like.item_id, True, like.item_type, like.liked_at) for like in likes]


def test_control_characters_do_not_reach_the_terminal(cli: Cli) -> None:
    answer = imported(cli, f"{HEADER}a,\x1b]0;owned\x07,,,\na,x,,\x1b[31m,\n")
    assert "\x1b" not in answer.err


def test_reading_in_small_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "user_id,item_id\r\n" + "".join(f"ü{n},post:{n}\r\n" for n in range(500)) + "last,x"

    def rows() -> list[tuple[str, int]]:
        batches = reading.read_text(io.BytesIO(text.encode()), Format.CSV)
        return [(op.user_id, line) for batch in batches for op, line in zip(batch.ops, batch.lines, strict=True)]

    whole = rows()
    assert whole == [(f"ü{n}", n + 2) for n in range(500)] + [("last", 502)]
    for size in (1, 2, 7, 100):
        monkeypatch.setattr(reading, "BLOCK_BYTES", size)
        assert rows() == whole
