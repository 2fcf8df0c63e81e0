"""A store as another process finds it."""

import subprocess
import sys

OPEN = """
import asyncio, os, sys
from likewise.errors import SetupError
from likewise.store import open_store

async def main():
    if len(sys.argv) > 2:
        # Permissions do not bind root, so somebody else has to try. Open something first: what is imported on the way
        # may lie where only root may read.
        await (await open_store(sys.argv[2])).close()
        os.seteuid(65534)
    try:
        store = await open_store(sys.argv[1])
    except SetupError as error:
        print(type(error).__name__, getattr(error, "url", None), error)
    else:
        print("opened")
        await store.close()

asyncio.run(main())
"""


def opened_elsewhere(url: str, *first: str) -> str:
    """What another process says when it opens the store; unprivileged, with the URL of a scratch store as `first`."""
    return subprocess.run([sys.executable, "-c", OPEN, url, *first], capture_output=True, text=True, check=True).stdout
