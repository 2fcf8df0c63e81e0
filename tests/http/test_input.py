"""Bad input gets a clear error that says what to do, and nothing is lost; odd ids survive."""

import asyncio
import json
import socket
from urllib.parse import quote, urlsplit

import httpx
import pytest

from likewise.errors import Malformed
from likewise.http import wire
from likewise.http.asgi import AsgiRequest
from likewise.http.inputs import read_query
from tests.http.conftest import Client, Names
from tests.http.serving import Serving
from tests.http.test_calls import as_user, put, segment

PROBLEM = "application/problem+json"


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:likewise:problem:")
    assert body["title"]
    assert body["detail"]
    return body


ODD_IDS = [
    "a/b", "/", "a/like", "/shuttle/missions/sts-68/news/sts-68-mcc-05.txt", "..", "../..", ".", "{}:*", "%2F", "100%",
    "a b", " a ", "a+b", "a?b#c", "é", "e\u0301", "日本", "👍🏽", "'; drop table user_likes; --", '"', "\\", "a,b",
    "me", "a" * 256, "é" * 128,
]  # fmt: skip


@pytest.mark.parametrize("item", ODD_IDS, ids=lambda item: ascii(item)[:20])
def test_an_odd_id_is_liked_counted_and_listed_as_it_is(client: Client, new: Names, item: str) -> None:
    user = new.user
    liked = put(client, user, item)
    assert liked["item_id"] == item
    counted = client.request("GET", f"/v1/items/{segment(item)}/count").json()
    in_bulk = client.request("POST", "/v1/counts", json={"item_ids": [item]}).json()["items"][0]
    listed = client.request("GET", "/v1/users/me/likes", headers=as_user(user)).json()["items"]
    assert (counted["item_id"], in_bulk["item_id"], [like["item_id"] for like in listed]) == (item, item, [item])
    assert counted["count"] == in_bulk["count"] >= 1


@pytest.mark.parametrize("user", ["é", "日本/語", "a\\b'\"", "👍"])
def test_a_user_id_that_no_header_can_carry_goes_into_the_query(client: Client, new: Names, user: str) -> None:
    item = new.item
    answer = client.request("PUT", f"/v1/items/{item}/like", params={"user_id": user})
    assert answer.json()["changed"] is True
    assert client.request("GET", f"/v1/items/{item}/likers").json()["items"][0]["user_id"] == user
    path = f"/v1/users/{quote(user, safe='')}/likes"
    assert client.request("GET", path).json()["items"][0]["item_id"] == item


def test_a_header_that_is_not_ascii_is_refused_and_not_taken_for_missing(client: Client, new: Names) -> None:
    answer = client.request("PUT", f"/v1/items/{new.item}/like?user_id=x", headers=[(b"X-User-Id", "zoë".encode())])
    assert problem(answer, 400)["errors"]


@pytest.mark.parametrize("item", ["%00", "a%0Ab", "%7F", "a" * 257, "%C3%A9" * 129], ids=lambda item: item[:8])
def test_an_id_with_control_characters_or_too_long_is_refused(client: Client, new: Names, item: str) -> None:
    for method, call in (("PUT", "like"), ("GET", "count"), ("GET", "like"), ("GET", "likers")):
        answer = client.request(method, f"/v1/items/{item}/{call}", headers=as_user(new.user))
        assert problem(answer, 422)["errors"], call
    for call in ("likes", "data"):
        assert problem(client.request("GET", f"/v1/users/{item}/{call}"), 422)["errors"], call


def test_an_empty_id_is_refused(client: Client, new: Names) -> None:
    assert client.request("PUT", "/v1/items//like", headers=as_user(new.user)).status_code == 422


@pytest.mark.parametrize("item", ["%FF", "a%C3", "%ED%A0%80", "%EF%BF%BD"])
def test_an_id_that_is_not_utf8_is_refused_before_two_of_them_can_meet(client: Client, new: Names, item: str) -> None:
    problem(client.request("PUT", f"/v1/items/{item}/like", headers=as_user(new.user)), 400)


def test_utf8_in_a_query_may_come_unencoded(serving: Serving) -> None:
    """As curl sends it."""
    address = urlsplit(serving.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall("GET /v1/counts?item_id=é HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert '"item_id":"é"'.encode() in answer
    scope = {"type": "http", "method": "GET", "path": "/v1/counts", "headers": []}
    for sent, read in (("item_id=é".encode(), ["é"]), (b"item_id=%C3%A9&item_id=e+e", ["é", "e e"])):
        query = AsgiRequest(scope | {"query_string": sent}, receive=asyncio.Queue().get).query
        assert read_query(wire.CountsQuery, query).item_id == read  # type: ignore[attr-defined]
    with pytest.raises(Malformed):
        read_query(wire.CountsQuery, AsgiRequest(scope | {"query_string": b"item_id=\xff"}, asyncio.Queue().get).query)


def test_bad_utf8_in_a_query_is_refused(client: Client) -> None:
    problem(client.request("GET", "/v1/counts?item_id=%FF"), 400)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/trending?limit=0", "limit"),
        ("/v1/trending?limit=101", "limit"),
        ("/v1/trending?limit=many", "limit"),
        ("/v1/trending?limit=1&limit=2", "limit"),
        ("/v1/trending?sort=up", "query"),
        ("/v1/counts", "query"),
        ("/v1/items/x/count?me=maybe", "me"),
        ("/v1/items/x/count?foo=1", "query"),
        ("/v1/items/x/summary?show=-1", "show"),
        ("/v1/changes?limit=1001", "limit"),
        ("/v1/livez?x=1", None),
    ],
)
def test_a_bad_parameter_is_named(client: Client, path: str, pointer: str | None) -> None:
    answer = client.request("GET", path)
    if pointer is None:
        problem(answer, 404)
    else:
        assert pointer in [error["pointer"] for error in problem(answer, 422)["errors"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"", 400, ""),
        (b"{", 400, ""),
        (b"\xff\xfe", 400, ""),
        (b'{"ops": [{"user_id": "\xff", "item_id": "x", "liked": true}]}', 400, None),
        (b"[]", 422, ""),
        (b"{}", 422, ""),
        (b'{"ops": 1}', 422, "/ops"),
        (b'{"ops": [{"user_id": "u", "item_id": "x"}]}', 422, "/ops/0"),
        (b'{"ops": [{"user_id": "u", "item_id": "x", "liked": 1}]}', 422, "/ops/0/liked"),
        (b'{"ops": [{"user_id": 7, "item_id": "x", "liked": true}]}', 422, "/ops/0/user_id"),
        (b'{"ops": [{"user_id": "u", "item_id": "x", "liked": true, "likes": 5}]}', 422, "/ops/0"),
        (b'{"ops": [], "atomic": true}', 422, ""),
        (b"[" * 100_000, 422, ""),
    ],
)
def test_a_bad_body_is_refused_with_a_pointer(client: Client, body: bytes, status: int, pointer: str | None) -> None:
    answer = client.request("POST", "/v1/ops", content=body, headers={"Content-Type": "application/json"})
    found = [error["pointer"] for error in problem(answer, status)["errors"]]  # type: ignore[attr-defined]
    if pointer is not None:
        assert found == [pointer]


def test_too_many_of_anything_is_refused(client: Client) -> None:
    op = {"user_id": "u", "item_id": "too-many", "liked": True}
    problem(client.request("POST", "/v1/ops", json={"ops": [op] * 10_001}), 422)
    problem(client.request("POST", "/v1/counts", json={"item_ids": ["x"] * 1_001}), 422)
    problem(client.request("POST", "/v1/summaries", json={"item_ids": ["x"] * 101}), 422)
    assert client.request("GET", "/v1/items/too-many/count").json()["count"] == 0


def test_a_body_that_is_not_json_by_its_own_word_is_refused(client: Client, new: Names) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": content_type} if content_type else {}
        problem(client.request("POST", "/v1/ops", content=b'{"ops": []}', headers=headers), 415)
    path = f"/v1/items/{new.item}/like"
    problem(client.request("PUT", path, content=b"item_type=post", headers=as_user("u")), 415)


def test_an_oversize_body_is_refused_announced_or_not(client: Client) -> None:
    big = json.dumps({"ops": [{"user_id": "u" * 200, "item_id": "x" * 200, "liked": True}] * 24_000}).encode()
    headers = {"Content-Type": "application/json"}
    problem(client.request("POST", "/v1/ops", content=big, headers=headers), 413)
    pieces = (big[k : k + 65_536] for k in range(0, len(big), 65_536))
    if isinstance(client, httpx.Client):  # httpx's ASGI transport wants an async iterable; the socket is what matters
        problem(client.request("POST", "/v1/ops", content=pieces, headers=headers), 413)


def test_a_wrong_method_says_which_are_right(client: Client, new: Names) -> None:
    answer = client.request("PATCH", f"/v1/items/{new.item}/like")
    problem(answer, 405)
    assert answer.headers["allow"] == "DELETE, GET, POST, PUT"
    assert client.request("DELETE", "/v1/counts").headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/items/x", "/v1/items/x/likes", "/v1/users/u", "/v2/counts", "/v1/ops/"]
)
def test_an_unknown_path_is_404(client: Client, path: str) -> None:
    problem(client.request("GET", path), 404)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "MTIz", "é", "MTc5NTI1NzU1MjIwMjkwMi5h=", "%00"])
def test_a_cursor_that_nobody_gave_is_400(client: Client, cursor: str) -> None:
    problem(client.request("GET", f"/v1/items/x/likers?cursor={quote(cursor, safe='%')}"), 400)


@pytest.mark.parametrize("position", ["x", "1", "1:0", "1:0-", "1:0-1,", "-1:0-1", "1:0-1 "])
def test_a_position_that_nobody_gave_is_400(client: Client, position: str) -> None:
    problem(client.request("GET", "/v1/changes", params={"after": position}), 400)


def test_a_position_of_another_store_is_refused(client: Client) -> None:
    problem(client.request("GET", "/v1/changes?after=1:0-1"), 422)


def test_a_slow_or_broken_request_holds_nobody_up(serving: Serving, socket_client: httpx.Client, new: Names) -> None:
    """Half a head, half a body, rubbish, and a client that is gone before its answer."""
    address = urlsplit(serving.url)
    assert address.hostname
    assert address.port
    started = [
        b"PUT /v1/items/x/like HT",
        b"POST /v1/ops HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"\x16\x03\x01\x00\x00 rubbish\r\n\r\n",
    ]
    held = []
    for start in started * 30:
        connection = socket.create_connection((address.hostname, address.port))
        connection.sendall(start)
        held.append(connection)
    for _ in range(30):
        gone = socket.create_connection((address.hostname, address.port))
        gone.sendall(f"PUT /v1/items/{new.item}/like HTTP/1.1\r\nHost: localhost\r\nX-User-Id: u\r\n\r\n".encode())
        gone.close()
    assert put(socket_client, new.user, new.item)["changed"] is True
    for connection in held:
        connection.close()
    assert put(socket_client, new.user, new.item)["changed"] is True
