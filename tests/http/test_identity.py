"""Who may do what: on an unconfigured loopback server, behind a gateway, and mounted in an application."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import likewise
from likewise import Likes
from tests.http.conftest import Client, Names
from tests.http.serving import Serving, refusal
from tests.http.test_calls import as_user, put
from tests.http.test_input import problem


def test_a_user_is_just_that_user(client: Client, new: Names) -> None:
    user, other, item = new.user, new.user, new.item
    headers = as_user(user)
    foreign = [
        ("PUT", f"/v1/items/{item}/like?user_id={other}", None),
        ("PUT", f"/v1/items/{item}/like", {"user_id": other}),
        ("DELETE", f"/v1/items/{item}/like?user_id={other}", None),
        ("GET", f"/v1/items/{item}/like?user_id={other}", None),
        ("GET", f"/v1/items/{item}/count?me=1&user_id={other}", None),
        ("GET", f"/v1/items/{item}/count?user_id={other}", None),
        ("POST", "/v1/counts", {"item_ids": [item], "with_liked": True, "user_id": other}),
        ("POST", "/v1/counts", {"item_ids": [item], "user_id": other}),
        ("GET", f"/v1/users/{other}/likes", None),
        ("GET", f"/v1/users/{other}/data", None),
        ("DELETE", f"/v1/users/{other}/data", None),
        ("POST", "/v1/ops", {"ops": []}),
        ("POST", "/v1/backups", {"folder": "mine"}),
        ("GET", "/v1/changes", None),
        ("GET", "/v1/stats", None),
        ("GET", "/metrics", None),
    ]
    for method, path, body in foreign:
        problem(client.request(method, path, headers=headers, json=body), 403)
    assert client.request("GET", f"/v1/items/{item}/count").json()["count"] == 0


def test_who_names_nobody_on_loopback_may_act_for_anybody(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    assert client.request("PUT", f"/v1/items/{item}/like?user_id={user}").json()["changed"] is True
    assert client.request("GET", f"/v1/items/{item}/like?user_id={user}").json()["liked"] is True
    assert client.request("GET", f"/v1/users/{user}/likes").json()["items"][0]["item_id"] == item
    problem(client.request("PUT", f"/v1/items/{item}/like"), 401)
    problem(client.request("GET", "/v1/users/me/likes"), 401)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "X-User-Id": "alice"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_web_page_in_this_machines_browser_is_nobody(client: Client, new: Names, headers: dict[str, str]) -> None:
    """A page of another origin, or one whose name was rebound to this machine, must not act for anybody."""
    path = f"/v1/items/{new.item}/like?user_id=alice"
    assert client.request("PUT", path, headers=headers).status_code == 401
    assert client.request("POST", "/v1/ops", json={"ops": []}, headers=headers).status_code in (401, 403)
    assert client.request("GET", "/v1/trending", headers=headers).status_code == 200


def test_query_and_body_cannot_name_two_users(client: Client, new: Names) -> None:
    user = new.user
    path = f"/v1/items/{new.item}/like?user_id={user}"
    problem(client.request("PUT", path, headers=as_user(user), json={"user_id": new.user}), 422)


def test_an_empty_user_is_refused_and_gives_nobody_the_service_scope(client: Client) -> None:
    problem(client.request("GET", "/v1/stats", headers={"X-User-Id": ""}), 400)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = f"sqlite:{tmp_path_factory.mktemp('gateway') / 'likes.db'}"
    server = Serving(store, "--identity", "header", "--user-header", "X-Auth-User", "--likes-visible-to", "known")
    with httpx.Client(base_url=server.url) as client:
        yield client
    assert server.stop() == 0


def test_behind_a_gateway_its_header_is_the_user(gateway: httpx.Client) -> None:
    alice, bob = {"X-Auth-User": "alice"}, {"X-Auth-User": "bob"}
    assert gateway.put("/v1/items/x/like", headers=alice).json()["count"] == 1
    assert gateway.get("/v1/items/x/like", headers=bob).json()["liked"] is False
    problem(gateway.put("/v1/items/x/like", headers=as_user("alice")), 401)
    problem(gateway.put("/v1/items/x/like?user_id=alice", headers=bob), 403)


def test_behind_a_gateway_nobody_has_the_service_scope_by_saying_nothing(gateway: httpx.Client) -> None:
    for method, path in (("POST", "/v1/ops"), ("GET", "/v1/changes"), ("GET", "/v1/stats"), ("GET", "/metrics")):
        assert gateway.request(method, path).status_code == 403
    problem(gateway.put("/v1/items/x/like?user_id=alice"), 401)


def test_behind_a_gateway_a_second_header_is_refused(gateway: httpx.Client) -> None:
    """One that adds its word to the caller's own, instead of replacing it, would let the caller choose."""
    both = [("X-Auth-User", "victim"), ("X-Auth-User", "mallory")]
    problem(gateway.put("/v1/items/x/like", headers=both), 400)
    problem(gateway.put("/v1/items/x/like", headers={"X-Auth-User": ""}), 400)


def test_who_may_see_what_is_a_setting(gateway: httpx.Client) -> None:
    alice, bob = {"X-Auth-User": "alice"}, {"X-Auth-User": "bob"}
    assert gateway.get("/v1/users/alice/likes", headers=bob).status_code == 200
    assert gateway.get("/v1/items/x/likers", headers=bob).status_code == 200
    assert gateway.get("/v1/users/alice/data", headers=bob).status_code == 403
    assert gateway.get("/v1/users/alice/data", headers=alice).status_code == 200
    assert gateway.get("/v1/users/alice/likes").status_code == 401
    assert gateway.get("/v1/items/x/likers").status_code == 401
    assert gateway.get("/v1/items/x/count").status_code == 200


def test_the_server_refuses_to_listen_beyond_loopback_while_anybody_could_be_anybody(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'likes.db'}"
    status, complaint = refusal("--store", store, "--host", "0.0.0.0", "--port", "0")
    assert status == 1
    assert "refusing to listen on 0.0.0.0" in complaint
    assert "identity" in complaint
    assert "Traceback" not in complaint
    assert not (tmp_path / "likes.db").exists()


def test_mounted_in_an_application_its_own_users_are_ours(tmp_path: Path) -> None:
    async def story() -> None:
        async with Likes.open(f"sqlite:{tmp_path / 'likes.db'}") as likes:

            def user(scope: likewise.http.asgi.Scope) -> str | None:  # type: ignore[name-defined]
                return dict(scope["headers"]).get(b"x-session", b"").decode() or None

            app = Starlette(
                routes=[Mount("/likes", likewise.asgi(likes, user=user)), Mount("/anon", likewise.asgi(likes))]
            )
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="https://app.example") as client:
                path = "/v1/items/a%2Fb/like"
                liked = await client.put("/likes" + path, headers={"X-Session": "alice"})
                assert liked.json()["changed"] is True
                assert (await client.get("/anon/v1/items/a%2Fb/count")).json()["count"] == 1
                assert (await client.put("/likes" + path, headers=as_user("alice"))).status_code == 401
                assert (await client.put("/anon" + path, headers=as_user("alice"))).status_code == 401
                assert (await client.post("/anon/v1/ops", json={"ops": []})).status_code == 403

    asyncio.run(story())


def test_a_foreign_put_through_the_helper_is_seen_in_likers(client: Client, new: Names) -> None:
    """The default: likers are for any known user."""
    user, item = new.user, new.item
    put(client, user, item)
    assert client.request("GET", f"/v1/items/{item}/likers", headers=as_user(new.user)).status_code == 200
