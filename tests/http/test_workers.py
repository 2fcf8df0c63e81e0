"""Several processes on one port: one writes, the others read along. Real processes, real sockets."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from likewise.errors import SetupError
from likewise.settings import load
from likewise.sync import Likes
from tests.http.serving import Serving

pytestmark = pytest.mark.slow

WORKERS = 3


def serve(folder: Path, workers: int = WORKERS) -> Serving:
    return Serving(f"rocksdb:{folder}/likes?memory_mb=16", "--workers", str(workers))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    server = serve(tmp_path_factory.mktemp("workers"))
    yield server
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log


def client_of(server: Serving) -> httpx.Client:
    return httpx.Client(base_url=server.url, verify=False)  # there is no TLS, and to load its roots takes 45 ms


@contextmanager
def clients(server: Serving, workers: int = WORKERS) -> Iterator[list[httpx.Client]]:
    """A connection to each of the processes, that of the writer first. The kernel chooses, so this tries."""
    with ExitStack() as stack:
        found: dict[int, httpx.Client] = {}
        while len(found) < workers:
            client = stack.enter_context(client_of(server))
            found.setdefault(client.get("/v1/stats").json()["worker"], client)
        yield [found[worker] for worker in sorted(found)]


def put(client: httpx.Client, item: str, user: str, **query: Any) -> httpx.Response:
    return client.put(f"/v1/items/{item}/like", headers={"X-User-Id": user}, params=query)


def count_of(client: httpx.Client, item: str, **query: Any) -> int:
    answer = client.get(f"/v1/items/{item}/count", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["count"]


def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "this did not come true"
        time.sleep(0.02)


def children(process: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_there_are_as_many_processes_as_asked_for(serving: Serving) -> None:
    assert len(children(serving.process.pid)) == WORKERS - 1


def test_readers_mark_their_answers_with_their_moment(serving: Serving) -> None:
    with clients(serving) as (writer, *readers):
        put(writer, "marked", "u")
        assert "likewise-as-of" not in writer.get("/v1/items/marked/count").headers
        for reader in readers:
            count_of(reader, "marked")
            for _ in range(2):  # from the store, then from memory
                answer = reader.get("/v1/items/marked/count")
                assert answer.headers["likewise-as-of"] <= answer.json()["as_of"]
                assert answer.json()["exact"] is True
            for path in ("/v1/items/marked/likers", "/v1/items/marked/summary", "/v1/trending", "/v1/users/u/data"):
                assert "likewise-as-of" in reader.get(path).headers, path
            assert "likewise-as-of" not in put(reader, "marked", "u").headers


def test_a_process_says_whose_numbers_it_shows(serving: Serving) -> None:
    with clients(serving) as processes:
        for worker, client in enumerate(processes, 1):
            assert client.get("/readyz").status_code == 200
            families = text_string_to_metric_families(client.get("/metrics").text)
            assert {sample.labels["worker"] for family in families for sample in family.samples} == {str(worker)}


def test_an_op_is_counted_by_one_process(serving: Serving) -> None:
    def ops(client: httpx.Client) -> float:
        families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
        return sum(sample.value for sample in families["likewise_ops"].samples if sample.name == "likewise_ops_total")

    with clients(serving) as processes:
        before = sum(map(ops, processes))
        for n, client in enumerate(processes):
            put(client, "counted-once", f"u{n}")
        assert sum(map(ops, processes)) == before + WORKERS


def test_whoever_writes_through_a_process_reads_it_there_at_once(serving: Serving) -> None:
    with clients(serving) as processes:
        for client in processes:
            for n in range(10):
                put(client, f"own-{id(client)}", f"u{n}")
                assert count_of(client, f"own-{id(client)}") == n + 1
                status = client.get(f"/v1/items/own-{id(client)}/like", headers={"X-User-Id": f"u{n}"})
                assert status.json()["liked"] is True
            likers = client.get(f"/v1/items/own-{id(client)}/likers?limit=100").json()["items"]
            assert len(likers) == 10


def test_a_position_is_honoured_by_every_process(serving: Serving) -> None:
    """One process is told of a like, another is asked for it right away, by many at once."""

    def hammer(k: int) -> None:
        choose = random.Random(k)
        with clients(serving) as processes:
            for n in range(60):
                answer = put(choose.choice(processes), f"hammered-{k}", f"u{n}").json()
                other = choose.choice(processes)
                at_least = answer["position"]
                assert count_of(other, f"hammered-{k}", at_least=at_least) == n + 1
                status = other.get(
                    f"/v1/items/hammered-{k}/like", headers={"X-User-Id": f"u{n}"}, params={"at_least": at_least}
                )
                assert status.json()["liked"] is True
                assert count_of(other, f"hammered-{k}") == n + 1, "it does not go back"

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(hammer, range(6)))


def test_a_position_that_was_never_given_is_refused_by_every_process(serving: Serving) -> None:
    with clients(serving) as processes:
        epoch, _, offset = put(processes[0], "given", "u").json()["position"].partition(":0-")
        for client in processes:
            for position, status in ((f"{epoch}:0-{int(offset) + 10**6}", 422), ("1:0-1", 422), ("?", 400)):
                answer = client.get("/v1/items/given/count", params={"at_least": position})
                assert answer.status_code == status, answer.text


def test_counts_are_exact_at_rest_after_reads_and_writes_all_over(serving: Serving) -> None:
    items = [f"spread-{n}" for n in range(5)]
    truth: list[set[tuple[str, str]]] = [set() for _ in range(8)]

    def work(k: int) -> None:
        choose = random.Random(k)
        with clients(serving) as processes:
            for _ in range(150):
                client, item, user = choose.choice(processes), choose.choice(items), f"{k}-{choose.randrange(20)}"
                match choose.randrange(4):
                    case 0:
                        assert client.delete(f"/v1/items/{item}/like", headers={"X-User-Id": user}).status_code == 200
                        truth[k].discard((user, item))
                    case 1 | 2:
                        assert put(client, item, user).status_code == 200
                        truth[k].add((user, item))
                    case _:
                        assert count_of(client, item) >= 0

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    stand = set().union(*truth)
    expected = {item: sum(other == item for _, other in stand) for item in items}
    with clients(serving) as processes:
        position = processes[0].get("/v1/stats").json()["position"]
        for client in processes:
            for _ in range(2):
                body = {"item_ids": items, "at_least": position}
                answer = client.post("/v1/counts", json=body).json()["items"]
                assert {count["item_id"]: count["count"] for count in answer} == expected
            for item in items:
                summary = client.get(f"/v1/items/{item}/summary?show=100").json()
                assert summary["count"] == len(summary["shown"]) == expected[item]


def test_of_a_thousand_strict_likes_one_succeeds(serving: Serving) -> None:
    def race(_: int) -> list[int]:
        with clients(serving) as processes:
            return [put(processes[n % WORKERS], "raced", "u", strict=True).status_code for n in range(100)]

    with ThreadPoolExecutor(10) as pool:
        statuses = [status for found in pool.map(race, range(10)) for status in found]
    assert sorted(statuses) == [200] + [409] * 999


def test_trending_and_counts_in_memory_follow_likes_made_elsewhere(serving: Serving) -> None:
    with clients(serving) as processes:
        for client in processes:
            assert count_of(client, "elsewhere") == 0  # in memory from now on
        for n in range(200):
            put(processes[n % 2], "elsewhere", f"u{n}")
        for client in processes:
            eventually(lambda client=client: count_of(client, "elsewhere") == 200)
        rates = [
            next(hot for hot in client.get("/v1/trending?limit=100").json()["items"] if hot["item_id"] == "elsewhere")
            for client in processes
        ]
        assert {hot["count"] for hot in rates} == {200}
        assert max(hot["likes_per_minute"] for hot in rates) < 1.2 * min(hot["likes_per_minute"] for hot in rates)


def test_a_reader_forgets_a_user_whom_another_process_has_just_met(serving: Serving) -> None:
    with clients(serving) as (writer, reader, other):
        for n in range(20):
            put(writer, f"forgotten-{n}", "forgotten")
        assert reader.delete("/v1/users/forgotten/data").json()["likes_forgotten"] == 20
        assert other.get("/v1/users/forgotten/likes", params={"limit": 1}).status_code == 200
        eventually(lambda: not other.get("/v1/users/forgotten/likes").json()["items"])


def test_changes_and_bulk_ops_through_a_reader(serving: Serving) -> None:
    with clients(serving) as (_, reader, _other):
        start = reader.get("/v1/stats").json()["position"]
        ops = [{"user_id": f"u{n}", "item_id": "bulk", "liked": True} for n in range(2_500)]
        ops[7]["user_id"] = ""
        answer = reader.post("/v1/ops", json={"ops": ops}).json()
        assert [n for n, outcome in enumerate(answer["outcomes"]) if "error" in outcome] == [7]
        found = reader.get("/v1/changes", params={"after": start, "limit": 1_000}).json()
        assert [change["user_id"] for change in found["items"][:8]] == [f"u{n}" for n in (0, 1, 2, 3, 4, 5, 6, 8)]
        assert found["has_more"] is True


def test_a_reader_that_is_killed_is_replaced_while_the_service_goes_on(tmp_path: Path) -> None:
    server = serve(tmp_path)
    with clients(server) as (writer, *_):
        put(writer, "i", "u")
        killed = children(server.process.pid)[0]
        os.kill(killed, signal.SIGKILL)
        numbers = count()

        def replaced() -> bool:
            assert put(writer, "i", f"v{next(numbers)}").status_code == 200
            now = children(server.process.pid)
            return killed not in now and len(now) == WORKERS - 1

        eventually(replaced)
        position = writer.get("/v1/stats").json()["position"]
        with clients(server) as processes:
            assert len({count_of(client, "i", at_least=position) for client in processes}) == 1
    assert server.stop() == 0
    assert server.log.count("a reader process ended") == 1


def test_when_the_writer_is_killed_nothing_stays_on_the_port_and_nothing_answered_is_lost(tmp_path: Path) -> None:
    server = serve(tmp_path)
    with clients(server) as processes:
        answered = [(f"u{n}", put(processes[n % WORKERS], "i", f"u{n}").status_code) for n in range(100)]
    readers = children(server.process.pid)
    assert len(readers) == WORKERS - 1
    server.process.kill()
    eventually(lambda: not any(map(runs, readers)), 5)
    port = server.url.rpartition(":")[2]
    server.stop()
    again = Serving(f"rocksdb:{tmp_path}/likes", "--port", port, "--workers", "2")
    with clients(again, 2) as processes:
        for client in processes:
            likers = client.get("/v1/items/i/likers?limit=100").json()["items"]
            assert {like["user_id"] for like in likers} == {user for user, status in answered if status == 200}
            assert count_of(client, "i") == 100
    assert again.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_nothing_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    server = serve(tmp_path)
    readers = children(server.process.pid)
    answered: list[set[str]] = [set() for _ in range(12)]

    def like_until_it_stops(k: int) -> None:
        with client_of(server) as client:
            for n in count():
                try:
                    answer = put(client, "x", f"{k}-{n}")
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    assert answer.status_code == 503, answer.text
                    assert int(answer.headers["retry-after"]) >= 1
                    return
                answered[k].add(f"{k}-{n}")

    threads = [threading.Thread(target=like_until_it_stops, args=(k,)) for k in range(len(answered))]
    for thread in threads:
        thread.start()
    eventually(lambda: sum(map(len, answered)) > 500)
    assert server.stop(number) == 0, server.log
    for thread in threads:
        thread.join()
    assert not any(map(runs, readers))
    assert "Traceback" not in server.log
    assert "ended" not in server.log
    with Likes.open(f"rocksdb:{tmp_path}/likes") as likes:
        stored = {like.user_id for like in likes.likers_of("x")}
        assert set().union(*answered) <= stored
        assert likes.count("x").count == len(stored)
        assert likes.verify().drifted == 0


@pytest.mark.parametrize("store", ["sqlite:likes.db", "memory:"])
def test_other_tiers_refuse_workers(store: str) -> None:
    with pytest.raises(SetupError, match="workers = 2 needs a rocksdb: store"):
        load({"store": store, "workers": 2}, {})
    with pytest.raises(SetupError, match="workers must be at least 1"):
        load({"store": store}, {"LIKEWISE_WORKERS": "0"})
