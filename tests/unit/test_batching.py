"""The batcher: gathers while a batch is under way, keeps the order, is bounded, fails no one for another's fault."""

import asyncio
from collections.abc import Sequence

import pytest

from likewise.batching import Batcher
from likewise.errors import Closed, Overloaded, StoreFailed, Unavailable


class Gate:
    """A `run` that records its batches and holds each until it is let through."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.failures: list[Exception | None] = []
        self._held: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, batch: Sequence[int]) -> list[str]:
        self.batches.append(list(batch))
        n = len(self.batches)
        await self._held.get()
        if n <= len(self.failures) and (failure := self.failures[n - 1]):
            raise failure
        return [f"did {entry}" for entry in batch]

    def let_through(self, n: int = 1) -> None:
        for _ in range(n):
            self._held.put_nowait(None)


async def settle() -> None:
    """Let everything that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_idle_batcher_sends_a_single_entry_at_once() -> None:
    gate = Gate()
    batcher = Batcher(gate)
    future = batcher.submit([1])
    await settle()
    assert gate.batches == [[1]]
    gate.let_through()
    assert await future == ["did 1"]


async def test_while_a_batch_is_under_way_others_gather_for_the_next_one() -> None:
    gate = Gate()
    batcher = Batcher(gate)
    first = batcher.submit([0])
    await settle()
    others = [batcher.submit([n, -n]) for n in range(1, 20)]
    await settle()
    assert gate.batches == [[0]]
    assert batcher.waiting == 38
    gate.let_through(2)
    assert await first == ["did 0"]
    assert await asyncio.gather(*others) == [[f"did {n}", f"did {-n}"] for n in range(1, 20)]
    assert gate.batches == [[0], [entry for n in range(1, 20) for entry in (n, -n)]]
    assert batcher.waiting == 0


async def test_a_read_joins_only_a_query_that_is_not_sent() -> None:
    gate = Gate()
    batcher = Batcher(gate)
    sent = batcher.submit([1])
    await settle()
    late = batcher.submit([1])  # the same question; what is under way may miss a write answered in between
    gate.let_through()
    await sent
    await settle()
    assert not late.done()
    gate.let_through()
    await late
    assert gate.batches == [[1], [1]]


async def test_batches_are_sent_in_order_and_one_at_a_time() -> None:
    running = 0

    async def run(batch: Sequence[int]) -> Sequence[int]:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        seen.extend(batch)
        running -= 1
        return batch

    seen: list[int] = []
    batcher = Batcher(run, batch_max=7)
    futures = []
    for n in range(200):
        futures.append(batcher.submit([n]))
        if n % 13 == 0:
            await asyncio.sleep(0)
    assert await asyncio.gather(*futures) == [[n] for n in range(200)]
    assert seen == list(range(200))


async def test_a_batch_holds_at_most_batch_max_unless_one_call_is_larger() -> None:
    gate = Gate()
    batcher = Batcher(gate, batch_max=4)
    futures = [batcher.submit(entries) for entries in ([1, 2], [3], [4, 5], [6, 7, 8, 9, 10, 11], [12])]
    gate.let_through(10)
    await asyncio.gather(*futures)
    assert gate.batches == [[1, 2, 3], [4, 5], [6, 7, 8, 9, 10, 11], [12]]


async def test_past_the_limit_calls_are_refused_at_once_and_accepted_ones_are_answered() -> None:
    gate = Gate()
    batcher = Batcher(gate, waiting_max=5)
    futures = [batcher.submit([0])]
    await settle()
    futures += [batcher.submit([n]) for n in range(1, 6)]
    for _ in range(3):
        with pytest.raises(Overloaded):
            batcher.submit([99])
    gate.let_through(2)
    assert await asyncio.gather(*futures) == [[f"did {n}"] for n in range(6)]
    gate.let_through()
    assert await batcher.submit([7]) == ["did 7"], "and service goes on"
    assert 99 not in [entry for batch in gate.batches for entry in batch]


async def test_a_call_larger_than_the_queue_is_taken_when_nothing_waits() -> None:
    gate = Gate()
    batcher = Batcher(gate, waiting_max=3)
    gate.let_through()
    assert len(await batcher.submit(list(range(10)))) == 10


async def test_a_batch_that_fails_fails_only_its_callers() -> None:
    gate = Gate()
    gate.failures = [StoreFailed("first")]
    batcher = Batcher(gate)
    first, also_first = batcher.submit([1]), batcher.submit([2])
    await settle()
    second = batcher.submit([3])
    gate.let_through(2)
    for failed in (first, also_first):
        with pytest.raises(StoreFailed, match="first"):
            await failed
    assert await second == ["did 3"]


async def test_a_caller_that_gives_up_harms_no_one() -> None:
    gate = Gate()
    batcher = Batcher(gate)

    async def ask(n: int) -> list[str]:
        return list(await batcher.submit([n]))

    tasks = [asyncio.ensure_future(ask(n)) for n in range(3)]
    await settle()
    tasks += [asyncio.ensure_future(ask(n)) for n in range(3, 6)]
    await settle()
    tasks[1].cancel()  # its batch is under way
    tasks[4].cancel()  # its batch is not sent yet
    await settle()
    gate.let_through(2)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [n in (1, 4) for n in range(6)]
    assert [result for n, result in enumerate(results) if n not in (1, 4)] == [[f"did {n}"] for n in (0, 2, 3, 5)]


async def test_all_callers_may_give_up_and_the_batcher_goes_on() -> None:
    gate = Gate()
    gate.failures = [StoreFailed("nobody is told")]
    batcher = Batcher(gate)
    future = batcher.submit([1])
    await settle()
    future.cancel()
    gate.let_through(2)
    await settle()
    assert await batcher.submit([2]) == ["did 2"]


async def test_close_finishes_what_was_accepted_and_takes_nothing_more() -> None:
    gate = Gate()
    batcher = Batcher(gate, batch_max=1)
    futures = [batcher.submit([n]) for n in range(5)]
    await settle()
    closing = asyncio.ensure_future(batcher.close())
    await settle()
    with pytest.raises(Closed):
        batcher.submit([9])
    gate.let_through(5)
    await closing
    assert [future.result() for future in futures] == [[f"did {n}"] for n in range(5)]
    await batcher.close()


async def test_who_gives_up_closing_leaves_the_accepted_to_be_finished() -> None:
    gate = Gate()
    batcher = Batcher(gate, batch_max=1)
    futures = [batcher.submit([n]) for n in range(3)]
    await settle()
    closing = asyncio.ensure_future(batcher.close())
    await settle()
    closing.cancel()
    await settle()
    gate.let_through(3)
    assert await asyncio.wait_for(asyncio.gather(*futures), 10) == [[f"did {n}"] for n in range(3)]


async def test_done_is_told_of_each_batch_before_its_callers_are() -> None:
    order: list[object] = []

    async def run(batch: Sequence[int]) -> Sequence[int]:
        return batch

    def done(batch: Sequence[int], results: Sequence[int], seconds: float) -> None:
        assert seconds >= 0
        order.append((list(batch), list(results)))

    batcher = Batcher(run, done)

    async def ask(n: int) -> None:
        await batcher.submit([n])
        order.append(n)

    await asyncio.gather(ask(1), ask(2))
    assert order == [([1, 2], [1, 2]), 1, 2]


async def test_a_cancelled_runner_lets_everyone_go_and_the_next_call_begins_anew() -> None:
    """As `asyncio.run` cancels every task when its main one ends, while another still tidies up."""
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def double(numbers: Sequence[int]) -> list[int]:
        begun.set()
        await let_go.wait()
        return [2 * n for n in numbers]

    batcher: Batcher[int, int] = Batcher(double)
    under_way = batcher.submit([1])
    await begun.wait()
    waiting = batcher.submit([2])
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    for future in (under_way, waiting):
        with pytest.raises(Unavailable):
            await future
    assert batcher.waiting == 0
    let_go.set()
    assert list(await batcher.submit([3])) == [6]
    await batcher.close()


async def test_settled_waits_for_the_batch_under_way_and_for_no_other() -> None:
    let_go = asyncio.Event()
    done: list[int] = []

    async def slowly(numbers: Sequence[int]) -> list[int]:
        await let_go.wait()
        done.extend(numbers)
        return list(numbers)

    batcher: Batcher[int, int] = Batcher(slowly)
    await batcher.settled()
    batcher.submit([1])
    await asyncio.sleep(0)
    settled = asyncio.ensure_future(batcher.settled())
    await asyncio.sleep(0)
    assert not settled.done()
    let_go.set()
    await settled
    assert done == [1]
    await batcher.close()
