"""Waiting for what must end before its caller does."""

import asyncio
from collections.abc import Collection
from typing import Any


async def see_out(tasks: Collection["asyncio.Future[Any]"]) -> None:
    """Returns once all of these have ended, however they did. A caller that is cancelled meanwhile, even again and
    again, hears of it only then."""
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled
