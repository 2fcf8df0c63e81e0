"""Every call of Likewise v1, as `api.md` writes it, over a real socket and through ASGI."""

import json
import re
from urllib.parse import quote

import pytest

from tests.http.conftest import Client, Names

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
PRIVATE = "private, no-store"


def as_user(user: str) -> dict[str, str]:
    return {"X-User-Id": user}


def segment(item: str) -> str:
    """An id as one path segment; dots too, or clients take `..` for the folder above."""
    return quote(item, safe="").replace(".", "%2E")


def put(client: Client, user: str, item: str, **params: str) -> dict[str, object]:
    answer = client.request("PUT", f"/v1/items/{segment(item)}/like", headers=as_user(user), params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_like_and_its_repeat(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    first = put(client, user, item)
    again = put(client, user, item)

    assert first["item_id"] == item
    assert (first["liked"], first["changed"], first["count"]) == (True, True, 1)
    assert TIME.fullmatch(str(first["liked_at"]))
    assert (again["liked"], again["changed"], again["count"]) == (True, False, 1)
    assert again["liked_at"] == first["liked_at"]
    assert set(first) == {"item_id", "liked", "changed", "liked_at", "count", "position"}


def test_post_likes_as_put_does(client: Client, new: Names) -> None:
    answer = client.request("POST", f"/v1/items/{new.item}/like", headers=as_user(new.user))
    assert answer.json()["changed"] is True


def test_an_unlike_and_its_repeat(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    put(client, user, item)
    path = f"/v1/items/{item}/like"
    first = client.request("DELETE", path, headers=as_user(user)).json()
    again = client.request("DELETE", path, headers=as_user(user)).json()

    assert (first["liked"], first["changed"], first["count"], first["liked_at"]) == (False, True, 0, None)
    assert (again["liked"], again["changed"]) == (False, False)


def test_a_strict_like_of_what_is_liked_is_409_and_says_how_it_is(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    put(client, user, item, strict="true")
    answer = client.request("PUT", f"/v1/items/{item}/like?strict=true", headers=as_user(user))

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["liked"], answer.json()["count"]) == (True, 1)


def test_a_strict_unlike_of_what_is_not_liked_is_404_and_says_how_it_is(client: Client, new: Names) -> None:
    answer = client.request("DELETE", f"/v1/items/{new.item}/like?strict=true", headers=as_user(new.user))
    assert answer.status_code == 404
    assert (answer.json()["liked"], answer.json()["count"]) == (False, 0)


def test_the_type_comes_by_query_or_body(client: Client, new: Names) -> None:
    user, by_query, by_body = new.user, new.item, new.item
    put(client, user, by_query, item_type="post")
    client.request("PUT", f"/v1/items/{by_body}/like", headers=as_user(user), json={"item_type": "video"})
    page = client.request("GET", "/v1/users/me/likes", headers=as_user(user)).json()

    assert [(like["item_id"], like["item_type"]) for like in page["items"]] == [(by_body, "video"), (by_query, "post")]


def test_query_and_body_must_agree(client: Client, new: Names) -> None:
    path = f"/v1/items/{new.item}/like?item_type=post"
    answer = client.request("PUT", path, headers=as_user(new.user), json={"item_type": "video"})
    assert answer.status_code == 422


def test_the_status(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    path = f"/v1/items/{item}/like"
    before = client.request("GET", path, headers=as_user(user))
    liked_at = put(client, user, item)["liked_at"]
    after = client.request("GET", path, headers=as_user(user))

    assert before.json() == {"item_id": item, "liked": False, "liked_at": None}
    assert after.json() == {"item_id": item, "liked": True, "liked_at": liked_at}
    assert after.headers["cache-control"] == PRIVATE


def test_a_count_is_for_anyone_and_may_be_cached_by_anyone(client: Client, new: Names) -> None:
    item = new.item
    put(client, new.user, item)
    answer = client.request("GET", f"/v1/items/{item}/count")

    assert answer.headers["cache-control"] == "public, max-age=1, s-maxage=2, stale-while-revalidate=2"
    assert (answer.json()["item_id"], answer.json()["count"], answer.json()["exact"]) == (item, 1, True)
    assert TIME.fullmatch(answer.json()["as_of"])
    assert "liked" not in answer.json()


def test_a_plain_count_is_the_same_whoever_asks(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    put(client, user, item)
    answer = client.request("GET", f"/v1/items/{item}/count", headers=as_user(user))
    assert "liked" not in answer.json()
    assert answer.headers["cache-control"].startswith("public")


def test_an_unchanged_count_is_304_and_a_changed_one_is_not(client: Client, new: Names) -> None:
    item = new.item
    put(client, new.user, item)
    path = f"/v1/items/{item}/count"
    etag = client.request("GET", path).headers["etag"]
    unchanged = client.request("GET", path, headers={"If-None-Match": f'"other", {etag}'})
    put(client, new.user, item)
    changed = client.request("GET", path, headers={"If-None-Match": etag})

    assert etag.startswith('W/"')
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    assert (changed.status_code, changed.json()["count"]) == (200, 2)


def test_me_adds_liked_and_makes_the_answer_private(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    put(client, user, item)
    mine = client.request("GET", f"/v1/items/{item}/count?me=1", headers=as_user(user))
    other = client.request("GET", f"/v1/items/{item}/count?me=1", headers=as_user(new.user))

    assert (mine.json()["liked"], mine.headers["cache-control"]) == (True, PRIVATE)
    assert (other.json()["liked"], other.json()["count"]) == (False, 1)


def test_counts_come_in_the_order_asked(client: Client, new: Names) -> None:
    user, liked, never = new.user, new.item, new.item
    put(client, user, liked)
    asked = [never, liked, never]
    by_get = client.request("GET", "/v1/counts", params=[("item_id", item) for item in asked])
    by_post = client.request("POST", "/v1/counts", json={"item_ids": asked})

    for answer in (by_get, by_post):
        assert [(count["item_id"], count["count"]) for count in answer.json()["items"]] == [
            (never, 0), (liked, 1), (never, 0),
        ]  # fmt: skip
    assert by_get.headers["etag"]
    assert (
        client.request("GET", str(by_get.request.url), headers={"If-None-Match": by_get.headers["etag"]}).status_code
        == 304
    )
    assert by_post.headers["cache-control"] == PRIVATE


def test_counts_with_the_callers_likes(client: Client, new: Names) -> None:
    user, liked, other = new.user, new.item, new.item
    put(client, user, liked)
    body = {"item_ids": [liked, other], "with_liked": True}
    by_post = client.request("POST", "/v1/counts", json=body, headers=as_user(user))
    by_get = client.request("GET", f"/v1/counts?item_id={liked}&item_id={other}&me=1", headers=as_user(user))

    assert [count["liked"] for count in by_post.json()["items"]] == [True, False]
    assert [count["liked"] for count in by_get.json()["items"]] == [True, False]
    assert by_get.headers["cache-control"] == PRIVATE


def test_likers_newest_first_page_by_page(client: Client, new: Names) -> None:
    item, users = new.item, [new.user for _ in range(5)]
    for user in users:
        put(client, user, item)
    path, found, cursor = f"/v1/items/{item}/likers", [], None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.request("GET", path, params=params, headers=as_user(users[0])).json()
        found += [liker["user_id"] for liker in page["items"]]
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not (cursor := page["next_cursor"]):
            break
    assert found == users[::-1]


def test_among_filters_likers_to_friends(client: Client, new: Names) -> None:
    item, friend, stranger, comma = new.item, new.user, new.user, f"{new.user},x"
    for user in (friend, stranger, comma):
        put(client, user, item)
    path = f"/v1/items/{item}/likers?among={friend},nobody,{quote(comma, safe='')}"
    page = client.request("GET", path, headers=as_user(friend)).json()
    assert [liker["user_id"] for liker in page["items"]] == [comma, friend]


def test_a_summary(client: Client, new: Names) -> None:
    item, users = new.item, [new.user for _ in range(4)]
    for user in users:
        put(client, user, item)
    path = f"/v1/items/{item}/summary"
    plain = client.request("GET", f"{path}?show=2", headers=as_user(users[0])).json()
    mine = client.request("GET", f"{path}?show=1&among={users[0]}&me=1", headers=as_user(users[1])).json()

    assert (plain["count"], plain["others"], plain["exact"]) == (4, 2, True)
    assert [liker["user_id"] for liker in plain["shown"]] == [users[3], users[2]]
    assert "liked" not in plain
    assert (mine["liked"], mine["others"], [liker["user_id"] for liker in mine["shown"]]) == (True, 3, [users[0]])


def test_summaries_of_a_feed(client: Client, new: Names) -> None:
    user, liked, never = new.user, new.item, new.item
    put(client, user, liked)
    body = {"item_ids": [never, liked], "show": 2, "with_liked": True}
    answer = client.request("POST", "/v1/summaries", json=body, headers=as_user(user)).json()
    assert [(one["item_id"], one["count"], one["liked"]) for one in answer["items"]] == [
        (never, 0, False), (liked, 1, True),
    ]  # fmt: skip


def test_a_users_likes_page_by_page_and_by_type(client: Client, new: Names) -> None:
    user, items = new.user, [new.item for _ in range(5)]
    for k, item in enumerate(items):
        put(client, user, item, item_type="odd" if k % 2 else "even")
    path, headers = f"/v1/users/{user}/likes", as_user(user)
    first = client.request("GET", f"{path}?limit=3", headers=headers).json()
    rest = client.request("GET", f"{path}?limit=3&cursor={first['next_cursor']}", headers=headers).json()
    odd = client.request("GET", f"{path}?item_type=odd", headers=headers).json()

    assert [like["item_id"] for like in first["items"] + rest["items"]] == items[::-1]
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert [like["item_id"] for like in odd["items"]] == [items[3], items[1]]
    assert set(odd["items"][0]) == {"item_id", "item_type", "liked_at"}


def test_ops_in_bulk_and_a_bad_one_fails_alone(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    ops = [
        {"user_id": user, "item_id": item, "liked": True, "liked_at": "1995-08-01T00:00:01-04:00"},
        {"user_id": user, "item_id": "a\u0000b", "liked": True},
        {"user_id": user, "item_id": item, "liked": True},
        {"user_id": user, "item_id": item, "liked": True, "liked_at": "yesterday"},
    ]
    answer = client.request("POST", "/v1/ops", json={"ops": ops}).json()
    status = client.request("GET", f"/v1/items/{item}/like", headers=as_user(user)).json()

    assert [outcome["changed"] for outcome in answer["outcomes"]] == [True, None, False, None]
    assert ["error" in outcome for outcome in answer["outcomes"]] == [False, True, False, True]
    assert answer["position"]
    assert status["liked_at"] == "1995-08-01T04:00:01.000000Z"


def test_changes_follow_in_order_without_gap(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    start = put(client, new.user, new.item)["position"]
    put(client, user, item, item_type="post")
    client.request("DELETE", f"/v1/items/{item}/like", headers=as_user(user))
    put(client, user, item)
    first = client.request("GET", "/v1/changes", params={"after": start, "limit": "2"}).json()
    rest = client.request("GET", "/v1/changes", params={"after": first["position"]}).json()

    changes = first["items"] + rest["items"]
    assert [(change["user_id"], change["liked"], change["item_type"]) for change in changes] == [
        (user, True, "post"), (user, False, "post"), (user, True, None),
    ]  # fmt: skip
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert rest["position"] == changes[-1]["id"]


def test_every_read_takes_a_position(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    position = str(put(client, user, item)["position"])
    reads = [
        f"/v1/items/{item}/like", f"/v1/items/{item}/count", f"/v1/items/{item}/likers", f"/v1/items/{item}/summary",
        f"/v1/counts?item_id={item}", "/v1/users/me/likes",
    ]  # fmt: skip
    for path in reads:
        joint = "&" if "?" in path else "?"
        answer = client.request("GET", f"{path}{joint}at_least={position}", headers=as_user(user))
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == PRIVATE, path
        later = position.rpartition("-")[0] + "-999999999"
        assert client.request("GET", f"{path}{joint}at_least={later}", headers=as_user(user)).status_code == 422, path
        assert client.request("GET", f"{path}{joint}at_least=soon", headers=as_user(user)).status_code == 400, path
    body = {"item_ids": [item], "at_least": position}
    assert client.request("POST", "/v1/counts", json=body).json()["items"][0]["count"] == 1


def test_trending_lists_what_is_liked_now(client: Client, new: Names) -> None:
    item = new.item
    ops = [{"user_id": new.user, "item_id": item, "liked": True} for _ in range(50)]
    client.request("POST", "/v1/ops", json={"ops": ops})
    hottest = client.request("GET", "/v1/trending?limit=1").json()["items"]
    assert [(hot["item_id"], hot["count"]) for hot in hottest] == [(item, 50)]
    assert hottest[0]["likes_per_minute"] > 0


def test_a_user_takes_their_data_and_is_forgotten(client: Client, new: Names) -> None:
    user, items = new.user, [new.item for _ in range(120)]
    client.request("POST", "/v1/ops", json={"ops": [{"user_id": user, "item_id": i, "liked": True} for i in items]})
    data = client.request("GET", "/v1/users/me/data", headers=as_user(user))
    gone = client.request("DELETE", f"/v1/users/{user}/data", headers=as_user(user))

    assert data.headers["content-type"] == "application/x-ndjson"
    assert {json.loads(line)["item_id"] for line in data.text.splitlines()} == set(items)
    assert gone.json() == {"user_id": user, "likes_forgotten": 120}
    assert client.request("GET", f"/v1/items/{items[0]}/count").json()["count"] == 0
    assert client.request("GET", f"/v1/users/{user}/likes", headers=as_user(user)).json()["items"] == []


def test_the_figures(client: Client, new: Names) -> None:
    put(client, new.user, new.item)
    figures = client.request("GET", "/v1/stats").json()
    assert figures["likes"] >= 1
    assert figures["commits"] >= 1
    assert figures["queue_depth"] == 0


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health(client: Client, path: str) -> None:
    assert client.request("GET", path).status_code == 200


def test_head_answers_like_get_without_a_body(client: Client, new: Names) -> None:
    answer = client.request("HEAD", f"/v1/items/{new.item}/count")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"]


def test_a_request_id_is_given_or_kept(client: Client, new: Names) -> None:
    path = f"/v1/items/{new.item}/count"
    own = client.request("GET", path, headers={"X-Request-Id": "trace-1"}).headers["x-request-id"]
    made = {client.request("GET", path).headers["x-request-id"] for _ in range(2)}
    wrong = client.request("GET", "/v1/nothing", headers={"X-Request-Id": "trace-2"})

    assert own == "trace-1"
    assert len(made) == 2
    assert (wrong.status_code, wrong.headers["x-request-id"]) == (404, "trace-2")


def test_made_up_methods_and_paths_add_no_metrics(client: Client) -> None:
    for k in range(5):
        client.request(f"METHOD{k}", "/v1/stats")
        client.request("GET", f"/made/up/{k}")
    text = client.request("GET", "/metrics").text
    assert "METHOD" not in text
    assert "made" not in text
    assert 'likewise_requests_total{method="any",route="none",status="404"}' in text


def test_metrics_count_routes_and_never_name_a_user_or_an_item(client: Client, new: Names) -> None:
    user, item = new.user, new.item
    put(client, user, item)
    client.request("GET", f"/v1/items/{item}/count")
    text = client.request("GET", "/metrics").text

    assert 'likewise_requests_total{method="PUT",route="/v1/items/{item_id}/like",status="200"}' in text
    for name in ("commit_ops", "commit_seconds", "request_seconds", "queue_depth", "cache_hits", "hot_items"):
        assert f"likewise_{name}" in text
    assert user not in text
    assert item not in text
