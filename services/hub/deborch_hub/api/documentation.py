"""The OpenAPI document and a page to read it: one HTML file and its two assets, nothing from elsewhere."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined

from deborch_hub.api.document_reader import DocumentReader
from deborch_hub.api.events import EVENT_TYPES
from deborch_shared import __version__
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
    reader = DocumentReader(document)
    return environment.get_template("documentation.html.j2").render(
        version=document["info"]["version"],
        groups=[{**group, "title": _TITLES.get(group["name"], group["name"])} for group in reader.groups()],
        shapes=reader.shapes(),
        types=EVENT_TYPES,
        description=_DESCRIPTION,
    )
