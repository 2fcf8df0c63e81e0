"""Checkpoints off the commit path: moving the WAL's pages into the database, in a thread of its own.

A passive checkpoint runs beside the writer, but the WAL starts over only when a commit finds all of it moved, which
a busy writer never lets happen. So the thread moves the bulk, again until little is left, and then asks the writer to
move that little rest between two commits.
"""

import threading
import time

import apsw
import structlog

log = structlog.get_logger("likewise.sqlite")

REST_FRAMES_MAX = 1_000
"""What may be left for the writer: a few milliseconds of work."""

PASSES_MAX = 4
"""Passes before giving the rest to the writer however much it is."""


GIVE_WAY_TRIES = 20
GIVE_WAY_S = 0.005


class Checkpointer:
    """Keeps the WAL near `frames_max` pages. `committed` is called by the writer after each commit; the connection is
    the checkpointer's own, and it closes it."""

    def __init__(self, connection: apsw.Connection, frames_max: int) -> None:
        self._connection = connection
        self._frames_max = frames_max
        self._frames = 0
        self._wanted = threading.Event()
        self._rest = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="likewise-checkpoint", daemon=True)
        self._thread.start()

    def committed(self, writer: apsw.Connection, frames: int) -> None:
        """After a commit that left `frames` pages in the WAL, on the writer's thread."""
        self._frames = frames
        if self._rest:
            self._rest = False
            try:
                writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error as error:  # the commit stands; the WAL keeps everything, and a later commit asks again
                log.warning("checkpoint failed", error=str(error))
        elif frames > self._frames_max:
            self._wanted.set()

    def give_way(self) -> None:
        """Between two long reads, on their thread: let a WAL that has grown too large start over, which it does only at
        a commit that no read overlaps. Waits a moment at most; on an idle store that commit may never come."""
        for _ in range(GIVE_WAY_TRIES):
            if self._frames <= self._frames_max:
                return
            time.sleep(GIVE_WAY_S)

    def close(self) -> None:
        """Stop the thread, after the pass it is in."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing:  # asked again after clear(), which may have undone what close() set
                self._wanted.wait()
                if self._closing:
                    return
                self._move_bulk()
                self._rest = True
                self._wanted.clear()
        finally:
            self._connection.close()

    def _move_bulk(self) -> None:
        moved = 0
        for _ in range(PASSES_MAX):
            try:
                frames, now_moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error as error:  # the WAL keeps everything; the next commit asks again
                log.warning("checkpoint failed", error=str(error))
                return
            if frames - now_moved <= REST_FRAMES_MAX or now_moved == moved or self._closing:
                return
            moved = now_moved
