"""Waiting that a cancelled caller does to its end."""

import asyncio

import pytest

from likewise.store.waiting import see_out


async def test_it_waits_to_the_end_however_often_it_is_cancelled() -> None:
    work: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(see_out((work,)))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    work.set_result(7)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.result() == 7


async def test_how_it_ended_is_not_its_business() -> None:
    loop = asyncio.get_running_loop()
    good, bad = loop.create_future(), loop.create_future()
    good.set_result(1)
    loop.call_soon(bad.set_exception, ValueError())
    await see_out((good, bad))
    assert isinstance(bad.exception(), ValueError)
