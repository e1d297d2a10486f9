"""What the hub answers to tokens that auth did not issue, or that are over: with the verifier that it really uses."""

import time

import pytest
from aiohttp.test_utils import TestClient, TestServer
from tests.unit.hub_api.fakes import Hub
from tests.unit.shared.test_token_verifier import KEY, OTHER, KeyServer, claims, segment, token

from deborch_hub.api import build_hub_application
from deborch_shared.security import TokenVerifier


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path)


@pytest.fixture
async def anyone(hub):
    app = build_hub_application(hub.deps, TokenVerifier(KeyServer(KEY)), {})
    async with TestClient(TestServer(app)) as client:
        yield client


def changed_role() -> str:
    head, _, signature = token(roles=["viewer"]).split(".")
    return f"{head}.{segment(claims(roles=['admin']))}.{signature}"


BAD = {
    "expired": lambda: token(roles=["admin"], exp=int(time.time()) - 60),
    "signed by a stranger": lambda: token(OTHER, {"kid": KEY.kid}, roles=["admin"]),
    "raised to another role": changed_role,
    "not signed": lambda: f"{segment({'alg': 'none', 'kid': KEY.kid})}.{segment(claims(roles=['admin']))}.",
    "for another audience": lambda: token(roles=["admin"], aud="another"),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
async def test_a_bad_token_is_401_with_a_hint_and_changes_nothing(hub, anyone, make):
    headers = {"Authorization": f"Bearer {make()}"}
    for method, path, body in (
        ("POST", "/api/v1/tasks", {}),
        ("POST", "/api/v1/targets", {"name": "x", "suite": "x", "architectures": ["amd64"]}),
        ("PUT", f"/api/v1/blobs/{'0' * 64}", {}),
        ("GET", "/api/v1/builds", None),
    ):
        response = await anyone.request(method, path, json=body, headers=headers)
        problem = await response.json()
        assert (response.status, problem["code"]) == (401, "unauthenticated")
        assert problem["hint"]
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert hub.commands.given == []
    assert hub.database.asked == []


async def test_a_good_token_of_the_same_key_is_let_in(hub, anyone):
    headers = {"Authorization": f"Bearer {token(roles=['admin'])}"}
    assert (await anyone.post("/api/v1/tasks", json={}, headers=headers)).status == 201
    assert len(hub.commands.given) == 1
