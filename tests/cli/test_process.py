"""The real command in a process of its own: exit codes, pipes, and how much it imports."""

import os
import subprocess
import sys

from .conftest import Cli

LIKEWISE = [sys.executable, "-m", "likewise"]


def test_a_small_command_imports_nothing_big(cli: Cli) -> None:
    """`likewise count` answers at once because the server and pyarrow wait until they are needed."""
    cli("like", "alice", "post:1")
    code = (
        "import sys\n"
        "from likewise.cli import app\n"
        "app(['count', 'post:1'], standalone_mode=False)\n"
        "big = {'granian', 'uvloop', 'pyarrow', 'http.client', 'prometheus_client', 'rich.progress'}\n"
        "print(sorted(big & sys.modules.keys()))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "       1  post:1\n[]\n"


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    rows = "".join(f"user:{n},post:1\n" for n in range(20_000))
    cli("import", cli.write("rows.csv", "user_id,item_id\n" + rows))
    for command in (["export"], ["likers", "post:1", "--all"]):
        process = subprocess.Popen([*LIKEWISE, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(timeout=30) == 141


def test_errors_are_one_line_and_exit_codes_tell(cli: Cli) -> None:
    answer = subprocess.run([*LIKEWISE, "count", "x"], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("likewise: there is no store ")
    assert answer.stderr.count("\n") == 1
    assert subprocess.run([*LIKEWISE, "nonsense"], capture_output=True, check=False).returncode == 2


def test_ids_and_output_are_utf8_whatever_the_locale(cli: Cli) -> None:
    environment = {**os.environ, "LC_ALL": "C", "LANG": "C"}
    answer = subprocess.run([*LIKEWISE, "like", "ünï", "♥"], capture_output=True, env=environment, check=True)
    assert answer.stdout.decode() == "ünï likes ♥ (1 like)\n"
    bad = subprocess.run([*LIKEWISE, "like", b"\xff", "x"], capture_output=True, check=False)
    assert bad.returncode == 1
    assert b"U+DCFF" in bad.stderr
