"""Waiting for what must end before its caller does."""

import asyncio
import threading
from collections.abc import Callable, Collection
from typing import Any

from ..errors import Closed


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


async def interruptible(
    begin: Callable[[Callable[[], None]], "asyncio.Future[None]"], check: Callable[[], None], undo: Callable[[], None]
) -> None:
    """Wait for what `begin` starts, and see it out if cancelled. It is handed a check to call now and then, which
    raises what `check` does, and Closed once nobody waits any more; if that is too late, `undo` takes its work back."""
    cancelled = threading.Event()

    def check_wanted() -> None:
        check()
        if cancelled.is_set():
            raise Closed("nobody waits for this any more")

    work = begin(check_wanted)
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        try:
            await see_out((work,))
        finally:
            if not work.exception():  # it was over before it heard of it
                undo()
        raise
