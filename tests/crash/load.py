"""A process that likes and unlikes as fast as it can, until it is killed: `python -m tests.crash.load url log seed`.

Before each op it notes in the log what it asks, and after the answer what it was answered. A note is one write to a
file, which outlives the process whatever becomes of it.
"""

import asyncio
import os
import sys
from random import Random

from likewise import Likes
from tests.crash.history import History

USERS = 48
ITEMS = 7


async def main(url: str, log: str, seed: int) -> None:
    note = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    likes = await Likes.open(url)

    async def user(n: int) -> None:
        random = Random(f"{seed}-{n}")
        while True:
            item, liked = random.randrange(ITEMS), random.random() < 0.6
            os.write(note, f"? {n} {item} {int(liked)}\n".encode())
            await (likes.like if liked else likes.unlike)(f"u{n}", f"i{item}")
            os.write(note, f"! {n} {item} {int(liked)}\n".encode())

    print("ready", flush=True)
    await asyncio.gather(*(user(n) for n in range(USERS)))


def housekeeping_all_the_time() -> None:
    """Let kills meet what a tier does now and then: SQLite's checkpoints, RocksDB's flushes and compactions."""
    import likewise.store.rocksdb.database as rocksdb
    import likewise.store.sqlite as sqlite

    sqlite.WAL_MB = 0.1
    rocksdb.MEMTABLE_MB_MAX = 1 / 16


def read_log(log: str, history: History) -> None:
    """Take the notes of a killed process into a history."""
    with open(log, encoding="ascii") as lines:
        for line in lines:
            if line.endswith("\n"):  # the last one may have been cut short
                what, user, item, liked = line.split()
                record = history.ask if what == "?" else history.answer
                record((f"u{user}", f"i{item}"), liked == "1")


if __name__ == "__main__":
    housekeeping_all_the_time()
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
