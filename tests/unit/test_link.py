"""The link: calls of a store's methods from another process, and how their errors and its own end are told."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from likewise.errors import (
    Closed,
    Fault,
    InvalidInput,
    LikewiseError,
    Malformed,
    Overloaded,
    PositionExpired,
    StoreFailed,
    Unavailable,
)
from likewise.model import Op, Outcome, Position
from likewise.store.contract import Store
from likewise.store.link import CALLS_MAX, Link, answer
from likewise.store.memory import MemoryStore
from tests.ops import like

Methods = dict[Callable[..., Any], Callable[..., Awaitable[Any]]]


@asynccontextmanager
async def linked(methods: Methods) -> AsyncIterator[tuple[Link, "asyncio.Task[None]"]]:
    """A link, and what answers at its other end."""
    here, there = socket.socketpair()
    answering = asyncio.create_task(answer(there, methods))
    link = await Link.over(here)
    try:
        yield link, answering
    finally:
        await link.close()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def never(*_: object) -> Any:
    await asyncio.Event().wait()


async def test_arguments_and_results_arrive_as_they_were() -> None:
    store = MemoryStore(clock=lambda: 1_000)
    async with linked({Store.apply: store.apply, Store.changes: store.changes, Store.stats: store.stats}) as (link, _):
        outcomes = await link.call(Store.apply, [like("é", "i", "post", 5), like("", "i"), like("v", "i")])
        assert outcomes == await MemoryStore(clock=lambda: 1_000).apply(
            [like("é", "i", "post", 5), like("", "i"), like("v", "i")]
        )
        found = await link.call(Store.changes, Position(1_000, ((0, 1),)), 10)
        assert found == await store.changes(Position(1_000, ((0, 1),)), 10)
        assert await link.call(Store.stats) == await store.stats()


async def test_paths_travel() -> None:
    given: list[Path] = []

    async def backup(copy: Path) -> None:
        given.append(copy)

    async with linked({Store.backup: backup}) as (link, _):
        await link.call(Store.backup, Path("/a/b"))
    assert given == [Path("/a/b")]


@pytest.mark.parametrize(
    "error",
    [
        Overloaded("9 are waiting"),
        StoreFailed("the disk is full", 10),
        Closed("shutting down"),
        Unavailable("not now", 7),
        PositionExpired("changes before x are gone"),
        InvalidInput(Fault("a", "b"), Fault("c", "d")),
        Malformed(Fault("", "no")),
    ],
)
async def test_errors_arrive_as_what_they_are(error: LikewiseError) -> None:
    async def fails() -> None:
        raise error

    async with linked({Store.ready: fails}) as (link, _):
        with pytest.raises(type(error)) as raised:
            await link.call(Store.ready)
    assert type(raised.value) is type(error)
    assert str(raised.value) == str(error)
    assert vars(raised.value) == vars(error)


async def test_a_bug_over_there_is_logged_there_and_tells_nothing_of_the_inside() -> None:
    async def fails() -> None:
        raise KeyError("secret")

    with capture_logs() as logs:
        async with linked({Store.ready: fails}) as (link, _):
            with pytest.raises(LikewiseError) as raised:
                await link.call(Store.ready)
            with pytest.raises(LikewiseError):
                await link.call(Store.stats)  # not among what is answered
    assert "secret" not in str(raised.value)
    assert len(logs) == 2


async def test_a_call_does_not_wait_for_the_one_before_it() -> None:
    async def ready() -> None:
        pass

    async with linked({Store.apply: never, Store.ready: ready}) as (link, _):
        slow = asyncio.create_task(link.call(Store.apply, [like("u", "i")]))
        await link.call(Store.ready)
        assert not slow.done()
        slow.cancel()
        await link.call(Store.ready)  # an answer that nobody waits for any more does no harm


async def test_when_the_other_end_goes_away_calls_under_way_are_unknown_and_further_ones_refused() -> None:
    async with linked({Store.apply: never}) as (link, answering):
        under_way = asyncio.create_task(link.call(Store.apply, [like("u", "i")]))
        await asyncio.sleep(0)
        answering.cancel()
        with pytest.raises(Unavailable, match="whether it was done is not known, and asking again is safe"):
            await under_way
        assert link.lost.done()
        with pytest.raises(Unavailable, match="is gone; ask again"):
            await link.call(Store.apply, [like("u", "i")])


async def test_more_calls_than_may_be_under_way_are_refused_at_once() -> None:
    go = asyncio.Event()

    async def apply(ops: Sequence[Op]) -> list[Outcome]:
        await go.wait()
        return [Outcome(op.liked) for op in ops]

    async with linked({Store.apply: apply}) as (link, _):
        calls = [asyncio.create_task(link.call(Store.apply, [like("u", str(n))])) for n in range(CALLS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await link.call(Store.apply, [like("u", "i")])
        go.set()
        assert len(await asyncio.gather(*calls)) == CALLS_MAX
        await link.call(Store.apply, [like("u", "i")])


async def test_a_frame_that_is_too_long_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.store.link.FRAME_BYTES_MAX", 1_000)
    store = MemoryStore()
    async with linked({Store.apply: store.apply}) as (link, _):
        with pytest.raises(StoreFailed, match="lower commit_ops_max"):
            await link.call(Store.apply, [like("u", "i" * 50) for _ in range(100)])
        assert await link.call(Store.apply, [like("u", "i")])


async def test_what_is_no_frame_ends_the_connection() -> None:
    here, there = socket.socketpair()
    here.sendall(b"\xff" * 100)
    await answer(there, {})
    here.close()
