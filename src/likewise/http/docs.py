"""/docs: the API as one page that needs nothing from elsewhere, made from the route table."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from .openapi import describe
from .routes import Route

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #d6336c; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 span { color: var(--accent); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
summary { cursor: pointer; padding: .6rem .8rem; display: flex; flex-wrap: wrap; gap: .2rem .8rem; }
summary b { display: inline-block; min-width: 4.5rem; color: var(--accent); }
summary span { color: color-mix(in srgb, currentColor 70%, transparent); }
div.call { padding: 0 .8rem .8rem; overflow-x: auto; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem .8rem; border-radius: .4rem; overflow-x: auto; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
"""


def render_docs(routes: Iterable[Route]) -> bytes:
    """The page, as UTF-8."""
    document = describe([route for route in routes if not route.hidden])
    schemas: dict[str, Any] = document["components"]["schemas"]
    calls = "\n".join(
        _call(method.upper(), path, operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>likewise: the API</title><style>{STYLE}</style></head>
<body><h1><span>♥</span> likewise</h1>
<p>Who likes what, how many, exactly once. JSON in and out; errors are <code>application/problem+json</code>.
Ids are 1 to 256 bytes of UTF-8, percent-encoded in paths. On this machine, the header <code>X-User-Id</code> says who
you are. For tools: <a href="openapi.json">openapi.json</a>.</p>
<pre>curl -X PUT -H 'X-User-Id: alice' http://127.0.0.1:8080/v1/items/post:42/like
curl http://127.0.0.1:8080/v1/items/post:42/count</pre>
{calls}
</body></html>
""".encode()


def _call(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [f"<p>{_prose(operation['description'])}</p>"]
    if operation["parameters"]:
        rows = "".join(_parameter(parameter) for parameter in operation["parameters"])
        parts.append(f"<table><tr><th>parameter<th>in<th>is</tr>{rows}</table>")
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body</p><pre>{_shape(body['content']['application/json']['schema'], schemas)}</pre>")
    (answer,) = operation["responses"]["200"]["content"].values()
    parts.append(f"<p>Answer</p><pre>{_shape(answer['schema'], schemas)}</pre>")
    others = [
        f"<tr><td>{status}<td>{escape(response['description'])}</tr>"
        for status, response in operation["responses"].items()
        if status != "200"
    ]
    if others:
        parts.append(f"<table>{''.join(others)}</table>")
    head = f"<b>{method}</b><code>{escape(path)}</code><span>{_prose(operation['summary'])}</span>"
    return f"<details><summary>{head}</summary><div class=call>{''.join(parts)}</div></details>"


def _parameter(parameter: dict[str, Any]) -> str:
    needed = "" if parameter["required"] else ", optional"
    kind = escape(_type(parameter["schema"], {}))
    return f"<tr><td><code>{escape(parameter['name'])}</code><td>{parameter['in']}<td>{kind}{needed}</tr>"


def _shape(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "properties" not in schema:
        return escape(_type(schema, schemas))
    fields = [f"  {name}: {_type(field, schemas)}" for name, field in schema["properties"].items()]
    return escape("{\n" + ",\n".join(fields) + "\n}")


def _type(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(variant, schemas) for variant in schema["anyOf"])
    if "$ref" in schema:
        fields = schemas.get(schema["$ref"].rpartition("/")[2], {}).get("properties", {})
        return "{" + ", ".join(fields) + "}"
    if schema.get("type") == "array":
        most = f" (at most {schema['maxItems']:,})" if "maxItems" in schema else ""
        return f"[{_type(schema['items'], schemas)}, …]{most}"
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['type']} from {schema['minimum']} to {schema['maximum']:,}"
    return ", ".join(filter(None, [schema.get("format") or schema.get("type", "any"), schema.get("description")]))


def _prose(text: str) -> str:
    """Plain text with `code` in it, as HTML."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
