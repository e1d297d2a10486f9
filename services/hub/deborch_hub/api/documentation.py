"""The OpenAPI document and a page to read it: one HTML file and its two assets, nothing from elsewhere."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined

from deborch_shared import __version__
from deborch_shared.events import EVENT_MODELS
from deborch_shared.http import Call, Route, openapi_document, respond
from deborch_shared.security import PUBLIC

_PATH = "/api/v1/docs"
_ASSETS = {"style.css": "text/css", "filter.js": "text/javascript"}
_DESCRIPTION = """\
Targets, builds, tasks, logs, files and archives of one deb-orchestrator. Send an access token of the auth service as \
`Authorization: Bearer ...`. Errors are RFC 9457 problem details with a stable `code` and a `hint`. Lists come in \
pages: send `next` of one as `cursor` of the following. GET answers carry an ETag: send it as `If-None-Match`."""
_TITLES = {
    "targets": "Targets",
    "builds": "Builds",
    "tasks": "Tasks and logs",
    "artifacts": "Artifacts",
    "blobs": "Blobs",
    "hosts": "Hosts",
    "archives": "Archives",
    "events": "Events",
}


def documentation_routes(documented: Sequence[Route]) -> list[Route]:
    """The routes that describe `documented` and themselves."""

    async def document(_: Call) -> web.Response:
        return respond(described())

    async def page(_: Call) -> web.Response:
        return web.Response(text=rendered(), content_type="text/html", headers={"Cache-Control": "no-cache"})

    own = [
        Route("GET", "/api/v1/openapi.json", document, PUBLIC, "This API as an OpenAPI 3.1 document"),
        Route("GET", _PATH, page, PUBLIC, "This API as a page to read", content_type="text/html"),
        *(
            Route("GET", f"{_PATH}/{name}", _asset(name, kind), PUBLIC, f"{name} of that page", content_type=kind)
            for name, kind in _ASSETS.items()
        ),
    ]

    @cache
    def described() -> dict[str, Any]:
        return openapi_document(
            [*documented, *own], title="deb-orchestrator hub", version=__version__, description=_DESCRIPTION
        )

    @cache
    def rendered() -> str:
        return _render(openapi_document(documented, title="deb-orchestrator hub", version=__version__, description=""))

    return own


def _asset(name: str, content_type: str) -> Callable[[Call], Awaitable[web.Response]]:
    async def send(_: Call) -> web.Response:
        headers = {"Cache-Control": "no-cache"}
        return web.Response(text=_template(name), content_type=content_type, charset="utf-8", headers=headers)

    return send


@cache
def _template(name: str) -> str:
    return (resources.files("deborch_hub.api") / "templates" / name).read_text("utf-8")


def _render(document: Mapping[str, Any]) -> str:
    loader = DictLoader({"documentation.html.j2": _template("documentation.html.j2")})
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    schemas = document["components"]["schemas"]
    return environment.get_template("documentation.html.j2").render(
        version=document["info"]["version"],
        groups=_groups(document, schemas),
        types=sorted({name for name, _ in EVENT_MODELS}),
        description=_DESCRIPTION.split("`"),
    )


def _groups(document: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            shown = _operation(path, method, operation, schemas)
            groups.setdefault(operation["tags"][0], []).append(shown)
    return [{"name": name, "title": _TITLES.get(name, name), "operations": shown} for name, shown in groups.items()]


def _operation(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    status, good = next((code, answer) for code, answer in operation["responses"].items() if code.startswith("2"))
    media, content = next(iter(good.get("content", {"": {}}).items()))
    body = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "permission": operation.get("x-permission", ""),
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "type": _type_text(parameter["schema"]),
                "required": parameter["required"],
                "about": parameter.get("description") or _about(parameter["schema"]),
            }
            for parameter in operation["parameters"]
        ],
        "body": _fields(body.get("application/json", {}).get("schema"), schemas),
        "raw_body": "application/octet-stream" in body,
        "status": status,
        "media": media,
        "answer": _fields(content.get("schema"), schemas),
        "problems": [
            (code, problem["description"])
            for code, problem in sorted(operation["responses"].items())
            if code.startswith(("4", "5"))
        ],
    }


def _fields(schema: Mapping[str, Any] | None, schemas: Mapping[str, Any]) -> dict[str, Any] | None:
    """A model's name and its fields, one level deep; of a page, those of its items."""
    if schema is None or "$ref" not in schema:
        return None
    name = schema["$ref"].rpartition("/")[2]
    model = schemas[name]
    properties = model.get("properties", {})
    if name.startswith("Page_"):
        item = _fields(properties["items"]["items"], schemas)
        return {**item, "page": True} if item else None
    required = set(model.get("required", ()))
    rows = [
        {"name": field, "type": _type_text(part), "required": field in required, "about": _about(part)}
        for field, part in properties.items()
    ]
    return {"name": name, "about": model.get("description", ""), "rows": rows, "page": False}


def _type_text(schema: Mapping[str, Any]) -> str:
    """A type as people write it: `integer`, `string?`, `list of Tag`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        kinds = [_type_text(part) for part in schema["anyOf"]]
        optional = "?" if "null" in kinds else ""
        return " or ".join(kind for kind in kinds if kind != "null") + optional
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type_text(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _about(schema: Mapping[str, Any]) -> str:
    """Description, limits and default in few words."""
    parts = [schema["description"]] if "description" in schema else []
    for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"), ("pattern", "matches")):
        for source in (schema, *schema.get("anyOf", ())):
            if key in source:
                parts.append(f"{word} {source[key]}{' characters' if key == 'maxLength' else ''}")
                break
    if schema.get("default") not in (None, [], {}, ""):
        parts.append(f"default {schema['default']}")
    return ", ".join(parts)
