import re
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.unit.hub_api.fakes import FakeVerifier, Hub

from deborch_hub.api import build_hub_application, hub_routes
from deborch_shared.events import EVENT_MODELS
from deborch_shared.http import Route
from deborch_shared.security import PUBLIC

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
PUBLIC_ROUTES = {
    "GET /api/v1/openapi.json",
    "GET /api/v1/docs",
    "GET /api/v1/docs/style.css",
    "GET /api/v1/docs/filter.js",
    "GET /archives/{target}/{path:path}",
    "GET /ostree/config",
    "GET /ostree/refs/heads/{ref:path}",
    "GET /ostree/objects/{path:path}",
}
CONTRACT = """
GET /api/v1/targets
POST /api/v1/targets
GET /api/v1/targets/{target}
POST /api/v1/builds
GET /api/v1/builds
GET /api/v1/builds/{build_id:int}
POST /api/v1/builds/{build_id:int}/cancel
POST /api/v1/builds/{build_id:int}/giveback
GET /api/v1/tasks
POST /api/v1/tasks
GET /api/v1/tasks/{task_id:int}
GET /api/v1/tasks/{task_id:int}/why
POST /api/v1/tasks/{task_id:int}/cancel
GET /api/v1/tasks/{task_id:int}/log
GET /api/v1/tasks/{task_id:int}/log/stream
PUT /api/v1/tasks/{task_id:int}/attempts/{attempt:int}/log
HEAD /api/v1/blobs/{sha256}
GET /api/v1/blobs/{sha256}
PUT /api/v1/blobs/{sha256}
GET /api/v1/artifacts
GET /api/v1/artifacts/{artifact_id:int}/content
GET /api/v1/hosts
GET /api/v1/hosts/{host}
POST /api/v1/hosts
POST /api/v1/hosts/{host}/state
GET /api/v1/archives
GET /api/v1/archives/{target}
GET /api/v1/archives/{target}/sources
GET /api/v1/archives/{target}/snapshots
GET /api/v1/archives/{target}/packages
GET /api/v1/composes
POST /api/v1/composes
GET /api/v1/composes/{compose_id:int}
POST /api/v1/composes/{compose_id:int}/cancel
POST /api/v1/composes/{compose_id:int}/resume
POST /api/v1/composes/{compose_id:int}/claim
GET /api/v1/composes/{compose_id:int}/outputs
GET /api/v1/composes/{compose_id:int}/outputs/{path:path}
GET /api/v1/composes/{compose_id:int}/diff/{other_id:int}
GET /api/v1/composes/{compose_id:int}/logs/{phase}
GET /api/v1/composes/{compose_id:int}/logs/{phase}/stream
PUT /api/v1/composes/{compose_id:int}/attempts/{attempt:int}/logs/{phase}
GET /api/v1/composers
POST /api/v1/composers
GET /api/v1/schedules
POST /api/v1/schedules
GET /api/v1/schedules/{schedule}
POST /api/v1/schedules/{schedule}/state
DELETE /api/v1/schedules/{schedule}
GET /api/v1/refs
GET /api/v1/refs/{ref:path}
POST /api/v1/refs/{ref:path}/promote
POST /api/v1/refs/{ref:path}/rollback
GET /api/v1/image-tags
POST /api/v1/image-tags/promote
POST /api/v1/image-tags/rollback
GET /api/v1/promotions
POST /api/v1/ostree/missing
PUT /api/v1/ostree/objects
GET /api/v1/events
"""


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path)


@pytest.fixture
async def nobody(hub):
    """A client without a token."""
    async with TestClient(TestServer(build_hub_application(hub.deps, FakeVerifier(), {}))) as client:
        yield client


def address_of(route: Route) -> str:
    return re.sub(r"\{\w+:path\}", "dists/x", re.sub(r"\{\w+:int\}", "1", route.path)).replace("{", "").replace("}", "")


def test_the_routes_are_those_of_the_contract(hub):
    assert {name_of(route) for route in hub_routes(hub.deps)} == {*CONTRACT.split("\n"), *PUBLIC_ROUTES} - {""}


def test_only_the_listed_routes_are_public(hub):
    assert {name_of(route) for route in hub_routes(hub.deps) if route.needs is PUBLIC} == PUBLIC_ROUTES


async def test_every_other_route_refuses_a_caller_without_a_token(hub, nobody):
    for route in hub_routes(hub.deps):
        if route.needs is not PUBLIC:
            response = await nobody.request(route.method, address_of(route))
            assert response.status == 401, name_of(route)
            assert response.headers["WWW-Authenticate"].startswith("Bearer"), name_of(route)


async def test_every_other_route_refuses_a_token_that_has_all_permissions_but_its_own(hub, nobody):
    for route in hub_routes(hub.deps):
        if route.needs is not PUBLIC:
            headers = {"Authorization": f"Bearer all-but:{route.needs}"}
            response = await nobody.request(route.method, address_of(route), headers=headers)
            assert response.status == 403, name_of(route)
    assert hub.commands.given == []
    assert hub.database.asked == []


async def test_public_routes_answer_without_a_token(hub, nobody):
    for route in hub_routes(hub.deps):
        if route.needs is PUBLIC:
            response = await nobody.request(route.method, address_of(route))
            assert response.status in {200, 404}, name_of(route)


async def test_a_forged_token_is_refused(nobody):
    response = await nobody.get("/api/v1/targets", headers={"Authorization": "Bearer forged"})
    assert response.status == 401


async def test_a_nul_character_in_an_address_is_refused_before_it_reaches_the_database(hub):
    async with hub.client() as client:
        assert (await client.get("/api/v1/targets/a%00b")).status == 400
        assert (await client.get("/api/v1/builds?source=a%00b")).status == 400
    assert hub.database.asked == []


async def test_a_number_that_no_id_can_have_is_not_found(hub):
    async with hub.client() as client:
        assert (await client.get(f"/api/v1/tasks/{2**63}")).status == 404


async def test_the_openapi_document_is_valid_and_names_each_route_with_its_permission(hub, nobody):
    document = await (await nobody.get("/api/v1/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    for route in hub_routes(hub.deps):
        if route.path.startswith(("/archives/", "/ostree/")):
            continue
        operation = document["paths"][re.sub(r":\w+\}", "}", route.path)][route.method.lower()]
        assert operation.get("x-permission") == (None if route.needs is PUBLIC else str(route.needs))


async def test_the_page_to_read_shows_every_documented_operation_and_loads_nothing_from_elsewhere(hub, nobody):
    response = await nobody.get("/api/v1/docs")
    page = await response.text()
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    for route in hub_routes(hub.deps):
        if route.needs is not PUBLIC:
            assert re.sub(r":\w+\}", "}", route.path) in page
            assert str(route.needs) in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "style=" not in page
    for asset in re.findall(r'(?:src|href)="(/api/v1/docs/[^"]+)"', page):
        assert (await nobody.get(asset)).status == 200


async def test_an_unchanged_answer_is_304(hub, nobody):
    first = await nobody.get("/api/v1/openapi.json")
    again = await nobody.get("/api/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


def test_the_reference_page_names_every_route_with_what_it_needs(hub):
    text = (REFERENCE / "api.md").read_text("utf-8")
    for route in hub_routes(hub.deps):
        path = re.sub(r":\w+\}", "}", route.path)
        needs = "public" if route.needs is PUBLIC else f"`{route.needs}`"
        assert f"| `{route.method}` | `{path}` | {needs} |" in text, name_of(route)


def test_the_reference_page_names_every_event_type_with_its_fields():
    text = (REFERENCE / "events.md").read_text("utf-8")
    for (name, version), model in EVENT_MODELS.items():
        fields = ", ".join(f"`{field}`" for field in model.model_fields)
        assert f"| `{name}` | {version} | {fields} |" in text
