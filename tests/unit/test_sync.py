"""The blocking face: the same calls, from any thread."""

import asyncio
import inspect
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import likewise
from likewise import sync
from likewise.errors import AlreadyLiked, Closed, InvalidInput, NotLiked, SetupError, StoreInUse
from tests.clocks import NEW_YEAR, SetClock
from tests.ops import like


@pytest.fixture
def likes(folder: Path, clock: SetClock) -> Iterator[sync.Likes]:
    with sync.Likes.open(f"sqlite:{folder}/likes.db", clock=clock) as likes:
        yield likes


def test_every_public_method_is_there_under_the_same_name() -> None:
    def public(kind: type) -> set[str]:
        return {name for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}

    # Not for callers: the service's own (starting, announcing) and what only the HTTP hot path asks for.
    own = {"start", "warm", "announce", "as_of", "cached_count", "save_hot_list"}
    assert public(likewise.Likes) - own <= public(sync.Likes)
    for name in ("like", "likes_of", "verify"):
        assert getattr(sync.Likes, name).__doc__ == getattr(likewise.Likes, name).__doc__


def test_it_means_the_same_as_the_other(likes: sync.Likes) -> None:
    outcome = likes.like("u", "i", item_type="post")
    assert (outcome.changed, outcome.count, outcome.liked_at) == (True, 1, NEW_YEAR)
    assert likes.like("u", "i").changed is False
    assert likes.count("i").count == 1
    assert likes.counts(["i", "j"], user="u")[0].liked is True
    assert likes.liked_at("u", "i") == NEW_YEAR
    assert [row.item_id for row in likes.likes_of("u")] == ["i"]
    assert [row.user_id for row in likes.likers_of("i")] == ["u"]
    assert likes.likes_page("u", item_type="post").items == list(likes.likes_of("u", item_type="post"))
    assert likes.likers_page("i").items[0].user_id == "u"
    assert likes.summaries(["i"], user="u")[0].liked is True
    assert [change.item_id for change in likes.changes().items] == ["i"]
    assert likes.trending()[0].item_id == "i"
    assert outcome.position is not None
    likes.reach(outcome.position)
    likes.ready()
    assert likes.stats().likes == 1
    assert likes.verify().drifted == 0
    assert likes.unlike("u", "i").changed is True
    assert [outcome.count for outcome in likes.apply([like("a", "i"), like("b", "i")])] == [1, 2]
    assert likes.forget_item("i") == 2
    assert likes.forget_user("a") == likes.expire() == 0


def test_errors_are_the_same(likes: sync.Likes) -> None:
    with pytest.raises(InvalidInput):
        likes.like("", "i")
    with pytest.raises(NotLiked):
        likes.unlike("u", "i", strict=True)
    likes.like("u", "i")
    with pytest.raises(AlreadyLiked) as caught:
        likes.like("u", "i", strict=True)
    assert caught.value.count == 1
    with pytest.raises(InvalidInput):
        next(iter(likes.likes_of("")))
    with pytest.raises(InvalidInput):
        likes.trending(0)


def test_threads_share_commits(likes: sync.Likes) -> None:
    threads, each = 16, 25
    together = threading.Barrier(threads)

    def work(n: int) -> None:
        together.wait()
        for k in range(each):
            assert likes.like(f"u{n}", f"i{k}").changed

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    assert {count.count for count in likes.counts([f"i{k}" for k in range(each)])} == {threads}
    assert likes.verify().drifted == 0
    commits = likes._likes.measures.commit_ops
    assert commits.sum == threads * each
    assert commits.total < threads * each / 2


def test_lists_longer_than_a_page_are_iterated(likes: sync.Likes) -> None:
    likes.apply(like("u", f"i{n}") for n in range(250))
    assert [row.item_id for row in likes.likes_of("u")] == [f"i{n}" for n in reversed(range(250))]


def test_an_iteration_may_be_left_early(likes: sync.Likes) -> None:
    likes.apply(like("u", f"i{n}") for n in range(250))
    for row in likes.likes_of("u"):
        assert row.item_id == "i249"
        break


def test_closing_twice_is_safe_and_calls_afterwards_raise_closed(likes: sync.Likes) -> None:
    likes.like("u", "i")
    likes.close()
    likes.close()
    with pytest.raises(Closed):
        likes.like("u", "i")
    with pytest.raises(Closed):
        likes.count("i")
    with pytest.raises(Closed):
        list(likes.likes_of("u"))
    with pytest.raises(Closed):
        likes.trending()


def test_calls_under_way_when_it_closes_are_answered_or_refused_and_none_hangs(folder: Path) -> None:
    for round_ in range(5):
        likes = sync.Likes.open(f"sqlite:{folder}/likes{round_}.db")
        begun = threading.Barrier(9)

        def work(n: int, likes: sync.Likes = likes, begun: threading.Barrier = begun) -> int:
            begun.wait()
            for k in range(10_000):
                try:
                    likes.like(f"u{n}", f"i{k}")
                except Closed:
                    return k
            raise AssertionError("it never closed")

        with ThreadPoolExecutor(8) as pool:
            answered = [pool.submit(work, n) for n in range(8)]
            begun.wait()
            likes.close()
            total = sum(future.result(timeout=30) for future in answered)
        with sync.Likes.open(f"sqlite:{folder}/likes{round_}.db") as again:
            assert again.stats().likes >= total


def test_a_store_that_cannot_be_opened_leaves_no_thread(folder: Path, likes: sync.Likes) -> None:
    before = threading.active_count()
    with pytest.raises(StoreInUse):
        sync.Likes.open(f"sqlite:{folder}/likes.db")
    with pytest.raises(SetupError):
        sync.Likes.open("nonsense:")
    assert threading.active_count() == before


def test_closing_waits_for_a_call_that_takes_its_time(likes: sync.Likes) -> None:
    begun = threading.Event()
    answers: list[str] = []

    async def long_call() -> str:
        begun.set()
        for _ in range(20_000):
            await asyncio.sleep(0)
        return "answered"

    thread = threading.Thread(target=lambda: answers.append(likes._run(long_call())), daemon=True)
    thread.start()
    begun.wait()
    likes.close()
    thread.join(30)
    assert answers == ["answered"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_a_fork_it_says_so_instead_of_hanging(tmp_path: Path) -> None:
    with sync.Likes.open(f"sqlite:{tmp_path / 'likes.db'}") as likes:
        child = os.fork()
        if child == 0:
            try:
                likes.count("x")
            except SetupError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert likes.like("u", "x").count == 1
