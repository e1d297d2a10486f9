"""Who is let in, to do what, and what everybody else is told."""

import base64
import json

import pytest
from tests.e2e.running import request


def test_a_viewer_reads_everything_and_builds_nothing(stack, cli, published, source):
    viewer = stack.user(cli.json("key", "create", "looks on", "--role", "viewer")["api_key"])
    assert viewer.json("whoami")["roles"] == ["viewer"]
    assert published.build in {build["id"] for build in viewer.json("build", "list", "--limit", 500)}
    assert viewer("build", "log", published.build).stdout
    before = stack.get("builds?limit=500")["items"]
    for refused in (
        ("build", source(name="forbidden"), "--target", published.target),
        ("build", "cancel", published.build),
        ("host", "disable", "b1"),
        ("key", "create", "admin of my own", "--role", "admin"),
    ):
        problem = viewer.problem(*refused, code=3)
        assert problem["code"] == "forbidden"
        assert problem["detail"]
        assert problem["hint"]
    assert [build["id"] for build in stack.get("builds?limit=500")["items"]] == [build["id"] for build in before]
    assert stack.get("hosts/b1")["state"] == "enabled"


def test_a_revoked_key_lets_nobody_in(stack, cli):
    key = cli.json("key", "create", "to be revoked", "--role", "developer")
    stack.user(key["api_key"])("build", "list")
    cli("key", "revoke", key["id"])
    problem = stack.user(key["api_key"]).problem("build", "list", code=3)
    assert problem["code"] == "unauthenticated"
    assert "revoked" in problem["detail"] or "not valid" in problem["detail"], problem
    assert "deborch login" in problem["hint"] or "key" in problem["hint"]


@pytest.mark.parametrize("key", ["nonsense", "deborch_key_0000000000000000_" + "x" * 43])
def test_a_key_that_nobody_gave_out_is_refused(stack, key):
    problem = stack.user(key).problem("build", "list", code=3)
    assert problem["code"] == "unauthenticated"
    assert key not in json.dumps(problem)


@pytest.mark.parametrize("forgery", ["garbage", "other role", "no signature", "none as algorithm", "api key"])
def test_a_forged_token_is_refused(stack, forgery):
    header, claims, signature = stack.token.split(".")
    changed = encoded({**decoded(claims), "role": "admin", "sub": "somebody else"})
    token = {
        "garbage": "garbage",
        "other role": f"{header}.{changed}.{signature}",
        "no signature": f"{header}.{claims}.",
        "none as algorithm": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        "api key": (stack.data / "admin.key").read_text().strip(),
    }[forgery]
    for url in (f"{stack.hub}/builds", f"{stack.auth}/keys"):
        answer = request("GET", url, token=token)
        assert answer.status == 401, url
        assert answer.json()["code"] == "unauthenticated"
        assert answer.json()["hint"]
        assert "www-authenticate" in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "builds"), ("POST", "builds"), ("GET", "tasks/1"), ("GET", "tasks/1/log"), ("GET", "hosts"),
        ("POST", "hosts/b1/state"), ("POST", "hosts"), ("GET", "events"), ("POST", "targets"),
        ("GET", "artifacts"), ("PUT", "blobs/" + "0" * 64), ("GET", "no/such/route"),
    ],
)  # fmt: skip
def test_without_a_token_no_route_of_the_hub_answers(stack, method, path):
    answer = request(method, f"{stack.hub}/{path}", body=b"" if method != "GET" else None)
    assert answer.status == (404 if path.startswith("no/") else 401), answer
    assert answer.headers["content-type"].startswith("application/problem+json")


def decoded(part: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
