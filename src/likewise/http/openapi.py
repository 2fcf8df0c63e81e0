"""OpenAPI 3.1, made from the route table and the structs of `wire.py`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from .identity import Who
from .problems import ProblemDetails
from .routes import Route

REASONS = {
    200: "OK",
    304: "Not changed since the given ETag",
    400: "The input cannot be read",
    401: "No known caller, and this call needs one",
    403: "The caller may not do this",
    404: "Not liked (strict)",
    409: "Already liked (strict)",
    410: "Changes behind that position are no longer kept",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The input is not valid",
    503: "Not now; ask again after Retry-After seconds",
}
AS_OF = {
    "description": "From a process that reads along: this answer has everything that was answered before that moment",
    "schema": {"type": "string", "format": "date-time"},
}
REF = "#/components/schemas/{name}"


def render_openapi(routes: Iterable[Route]) -> bytes:
    """The document, as JSON."""
    return msgspec.json.encode(describe([route for route in routes if not route.hidden]))


def describe(routes: list[Route]) -> dict[str, Any]:
    """The document, as a dictionary."""
    kinds: set[Any] = {kind for route in routes for kind in (route.answer, route.body) if _is_struct(kind)}
    ordered = sorted(kinds | {ProblemDetails}, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "likewise",
            "version": "1",
            "summary": "Who likes what, how many, exactly once.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"user": {"type": "apiKey", "in": "header", "name": "X-User-Id"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{route.call.__name__}",
        "summary": route.title,
        "description": f"Who: {route.who.value}.",
        "security": [{}] if route.who is Who.ANYONE else [{"user": []}, {}],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {str(status): _response(route, status) for status in statuses(route)},
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": {"schema": {"$ref": REF.format(name=route.body.__name__)}}},
        }
    return operation


def statuses(route: Route) -> list[int]:
    """Every status that a call may answer with."""
    found = {200, *route.problems}
    if "{" in route.path:
        found |= {400, 422}
    if route.query.__struct_fields__:
        found |= {400, 401, 403, 422}
    if route.who is not Who.ANYONE:
        found |= {401, 403}
    if route.body is not None:
        found |= {400, 401, 403, 413, 415, 422}
    if route.path.startswith("/v1/"):
        found.add(503)
    return sorted(found)


def _response(route: Route, status: int) -> dict[str, Any]:
    response: dict[str, Any] = {"description": REASONS[status]}
    if status == 200:
        media, schema = _answer(route)
        response["content"] = {media: {"schema": schema}}
        if route.reads:
            response["headers"] = {"Likewise-As-Of": AS_OF}
    elif status >= 400:
        problem = REF.format(name=ProblemDetails.__name__)
        response["content"] = {"application/problem+json": {"schema": {"$ref": problem}}}
    return response


def _answer(route: Route) -> tuple[str, dict[str, Any]]:
    if route.answer is str:
        return "text/plain", {"type": "string"}
    if _is_struct(route.answer):
        media = "application/x-ndjson" if route.path.endswith("/data") and route.method == "GET" else "application/json"
        return media, {"$ref": REF.format(name=route.answer.__name__)}
    return "application/json", {"type": "object"}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    _, brace, rest = route.path.partition("{")
    if not brace:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 256}
    return [{"name": rest.partition("}")[0], "in": "path", "required": True, "schema": schema}]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(route.query)
    (kind,) = schema["$defs"].values()
    required = kind.get("required", [])
    parameters: list[dict[str, Any]] = []
    for name, field in kind["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in required, "schema": _given(field)}
        if _is_list(field):
            parameter |= {"style": "form", "explode": name != "among"}
        parameters.append(parameter)
    return parameters


def _given(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is given: null is what a missing one means inside, not something to send."""
    variants = [variant for variant in field.get("anyOf", []) if variant != {"type": "null"}]
    if len(variants) != 1:
        return field
    return variants[0]


def _is_list(field: dict[str, Any]) -> bool:
    return _given(field).get("type") == "array"


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
