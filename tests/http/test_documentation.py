"""OpenAPI and the documentation page come from the route table, and say what the server does."""

import httpx
from openapi_spec_validator import validate

from likewise.http.routes import ROUTES
from tests.http.conftest import Client


def test_openapi_is_valid_and_has_every_route(client: Client) -> None:
    document = client.request("GET", "/openapi.json").json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES if not route.hidden}


def test_answers_have_the_fields_that_openapi_says(socket_client: httpx.Client) -> None:
    document = socket_client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    socket_client.put("/v1/items/documented/like?user_id=u")
    examples = {
        "/v1/items/{item_id}/count": "/v1/items/documented/count",
        "/v1/items/{item_id}/likers": "/v1/items/documented/likers",
        "/v1/items/{item_id}/summary": "/v1/items/documented/summary",
        "/v1/users/{user_id}/likes": "/v1/users/u/likes",
        "/v1/changes": "/v1/changes",
        "/v1/trending": "/v1/trending",
        "/v1/stats": "/v1/stats",
    }
    for path, example in examples.items():
        (content,) = document["paths"][path]["get"]["responses"]["200"]["content"].values()
        schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        answer = socket_client.get(example).json()
        assert set(schema["required"]) <= set(answer) <= set(schema["properties"]), path


def test_the_page_has_every_call_and_loads_nothing_from_elsewhere(client: Client) -> None:
    answer = client.request("GET", "/docs")
    assert answer.headers["content-type"].startswith("text/html")
    for route in ROUTES:
        assert route.hidden or route.path in answer.text
    assert "src=" not in answer.text
    assert "https://" not in answer.text
