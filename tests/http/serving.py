"""Starting `likewise serve` as people do: a process of its own, on a free port, spoken to over a real socket."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

STARTED = "likewise listens on "


class Serving:
    """A running server. `log` is everything it has written to stderr, once it has ended."""

    def __init__(self, store: str, *flags: str, **environment: str) -> None:
        command = [sys.executable, "-m", "likewise", "serve", "--store", store, "--port", "0", *flags]
        # A file: a pipe that nobody reads would fill up and hold the server.
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._stderr, text=True, env=os.environ | environment
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(STARTED), line + self._read_log()
        self.url = line.removeprefix(STARTED).partition(",")[0]
        self.log = ""

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        finally:
            self.log = self._read_log()
            self._stderr.close()
        return self.process.returncode

    def _read_log(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()


def refusal(*arguments: str, cwd: Path | None = None) -> tuple[int, str]:
    """The exit status and the complaint of a `likewise serve` that must not start."""
    command = [sys.executable, "-m", "likewise", "serve", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=cwd)
    return ended.returncode, ended.stderr
