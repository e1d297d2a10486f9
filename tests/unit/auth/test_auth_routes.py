from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.unit.auth.fakes import FakeClock, FakeStore, make_auth, make_key

from deborch_auth.api.routes import routes
from deborch_auth.handlers.signing import key_set
from deborch_auth.handlers.tokens import issue_token
from deborch_shared.http import Route, build_application
from deborch_shared.security import PUBLIC, ROLES, Permission, Role, TokenVerifier

CLOCK = FakeClock()
AUTH = make_auth(FakeStore(), CLOCK)
TABLE = routes(AUTH)
GUARDED = [route for route in TABLE if route.needs is not PUBLIC]
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "permissions.md"


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    CLOCK.set_to_now()
    app = build_application(TABLE, verifier=TokenVerifier(lambda: key_set(AUTH)), ready_checks={})
    async with TestClient(TestServer(app)) as client:
        yield client


async def token_of(role: Role, *scopes: str) -> dict[str, str]:
    key, credential = make_key(AUTH.clock, role, scopes=frozenset(scopes), host="b1" if role is Role.BUILDER else None)
    await AUTH.store.add_key(key)
    token = await issue_token(AUTH, credential.reveal(), address="192.0.2.9")
    return {"Authorization": f"Bearer {token.access_token}"}


def test_only_these_routes_are_public():
    assert {name_of(route) for route in TABLE if route.needs is PUBLIC} == {
        "POST /api/v1/token",
        "GET /api/v1/jwks.json",
        "POST /api/v1/enrol",
        "GET /api/v1/openapi.json",
    }


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
async def test_a_guarded_route_answers_401_without_a_token(client, route):
    response = await client.request(route.method, route.path.replace("{key_id}", "0" * 16), json={})
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
@pytest.mark.parametrize("role", list(Role))
async def test_a_guarded_route_answers_403_to_each_role_that_lacks_its_permission(client, route, role):
    response = await client.request(
        route.method, route.path.replace("{key_id}", "0" * 16), json={}, headers=await token_of(role)
    )
    assert (response.status == 403) == (route.needs not in ROLES[role])
    if response.status == 403:
        assert route.needs in (await response.json())["detail"]


async def test_scopes_close_a_route_that_the_role_would_open(client):
    response = await client.get("/api/v1/keys", headers=await token_of(Role.ADMIN, "identity:read"))
    assert response.status == 403
    assert (await client.get("/api/v1/whoami", headers=await token_of(Role.ADMIN, "identity:read"))).status == 200


async def test_the_description_is_valid_openapi_and_names_every_route(client):
    document = await (await client.get("/api/v1/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described >= {name_of(route) for route in TABLE} - {"GET /api/v1/openapi.json"}


async def test_answers_that_hold_a_secret_are_not_to_be_kept(client):
    headers = await token_of(Role.ADMIN)
    response = await client.post("/api/v1/keys", json={"name": "n", "role": "viewer"}, headers=headers)
    assert response.status == 201
    assert response.headers["Cache-Control"] == "no-store"


def test_the_reference_page_gives_each_permission_to_the_roles_that_have_it():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    given = {
        cells[1].strip(" `"): [cell.strip() == "yes" for cell in cells[2:-1]] for cells in (r.split("|") for r in rows)
    }
    table = {permission.value: [permission in ROLES[role] for role in Role] for permission in Permission}
    assert {name: given[name] for name in table if name in given} == table


def test_the_reference_page_names_what_each_route_of_auth_needs():
    text = PAGE.read_text("utf-8")
    for route in TABLE:
        needs = "public" if route.needs is PUBLIC else f"`{route.needs}`"
        assert f"| `{route.method}` | `{route.path}` | {needs} |" in text
