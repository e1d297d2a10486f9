import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from joserfc import jwt
from joserfc.jwk import OKPKey

from deborch_shared.contract.base import Input, Output, PageQuery
from deborch_shared.errors import ERRORS, DeborchError, ErrorCode
from deborch_shared.http import Call, Route, build_application, page, respond
from deborch_shared.security import PUBLIC, Permission, TokenVerifier

KEY = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA"}, auto_kid=True)
FAR_FUTURE = 4_000_000_000


class Wish(Input):
    name: str
    size_bytes: int = 0


class Thing(Output):
    id: int
    name: str


async def key_set():
    return {"keys": [KEY.as_dict(private=False)]}


def bearer(role: str) -> dict[str, str]:
    claims = {"iss": "deborch-auth", "aud": "deborch", "sub": "key:1", "roles": [role], "exp": FAR_FUTURE}
    token = jwt.encode({"alg": "EdDSA", "kid": KEY.kid}, claims, KEY, algorithms=["EdDSA"])
    return {"Authorization": f"Bearer {token}"}


async def create(call: Call) -> web.StreamResponse:
    wish = call.body_as(Wish)
    return respond(Thing(id=1, name=wish.name), status=201)


async def show(call: Call) -> web.StreamResponse:
    return respond(Thing(id=call.path_int("thing_id"), name="x"))


async def listed(call: Call) -> web.StreamResponse:
    query = call.query_as(PageQuery)
    return page([Thing(id=number, name="x") for number in range(query.limit)], next_cursor="more")


async def fail(call: Call) -> web.StreamResponse:
    code = ErrorCode(call.path("code"))
    raise DeborchError(code, "it failed", hint="do this", task_id=7)


async def crash(_: Call) -> web.StreamResponse:
    raise RuntimeError("secret detail of the implementation")


async def lied(call: Call) -> web.StreamResponse:
    call.body_as(Thing)
    return respond({})


ROUTES = [
    Route("POST", "/things", create, Permission.BUILD_CREATE, "Make", body=Wish, response=Thing, body_limit_bytes=1000),
    Route("GET", "/things/{thing_id:int}", show, PUBLIC, "Show", response=Thing),
    Route("GET", "/things", listed, Permission.BUILD_READ, "List", query=PageQuery),
    Route("GET", "/fail/{code}", fail, PUBLIC, "Fail"),
    Route("GET", "/crash", crash, PUBLIC, "Crash"),
    Route("POST", "/lied", lied, PUBLIC, "Lie", body=Wish),
]


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    app = build_application(ROUTES, verifier=TokenVerifier(key_set), ready_checks={})
    async with TestClient(TestServer(app)) as client:
        yield client


async def problem(response) -> dict:
    assert response.headers["Content-Type"] == "application/problem+json"
    body = await response.json(content_type=None)
    assert body["status"] == response.status
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert body["type"] == f"urn:deborch:error:{body['code']}"
    return body


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer nonsense"}],
    ids=["none", "another scheme", "empty", "forged"],
)
async def test_without_a_valid_token_the_answer_is_401_and_how_to_log_in(client, headers):
    response = await client.post("/things", json={"name": "x"}, headers=headers)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="deborch"'
    assert "deborch login" in (await problem(response))["hint"]


async def test_without_the_permission_the_answer_is_403_and_names_it(client):
    response = await client.post("/things", json={"name": "x"}, headers=bearer("viewer"))
    assert response.status == 403
    assert "build:create" in (await problem(response))["detail"]


async def test_who_may_not_call_learns_nothing_about_the_body(client):
    response = await client.post("/things", data=b"{" * 5000, headers=bearer("viewer"))
    assert response.status == 403


async def test_with_the_permission_the_handler_answers(client):
    response = await client.post("/things", json={"name": "x"}, headers=bearer("developer"))
    assert (response.status, await response.json()) == (201, {"id": 1, "name": "x"})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"name": 1}', b'{"name": "x", "colour": "red"}', b"\xff", b'{"name": "\\ud800"}']
)
async def test_a_body_that_does_not_fit_is_refused_and_the_place_named(client, body):
    response = await client.post("/things", data=body, headers=bearer("developer"))
    assert response.status in {400, 422}
    said = await problem(response)
    if said["code"] == "invalid-input":
        assert said["problems"]
        assert "openapi.json" in said["hint"]


async def test_a_refused_body_is_not_repeated(client):
    response = await client.post("/things", json={"name": ["hunter2"]}, headers=bearer("developer"))
    assert "hunter2" not in await response.text()


async def test_a_body_over_the_limit_is_refused_by_its_announced_length(client):
    response = await client.post("/things", data=b"x" * 1001, headers=bearer("developer"))
    assert response.status == 413
    assert "1000 bytes" in (await problem(response))["detail"]


async def test_a_body_over_the_limit_is_refused_when_no_length_was_announced(client):
    async def endless():
        for _ in range(100):
            yield b"x" * 100

    response = await client.post("/things", data=endless(), headers=bearer("developer"))
    assert response.status == 413


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "colour=red"])
async def test_a_query_that_does_not_fit_is_refused(client, query):
    response = await client.get(f"/things?{query}", headers=bearer("viewer"))
    assert response.status == 422
    assert query.split("=")[0] in (await problem(response))["detail"]


async def test_a_page_has_items_and_the_next_cursor(client):
    body = await (await client.get("/things?limit=2", headers=bearer("viewer"))).json()
    assert body == {"items": [{"id": 0, "name": "x"}, {"id": 1, "name": "x"}], "next": "more"}


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_every_error_is_a_problem_with_its_own_status(client, code):
    response = await client.get(f"/fail/{code}")
    said = await problem(response)
    assert (response.status, said["code"], said["title"]) == (ERRORS[code].status, code, ERRORS[code].title)
    assert (said["detail"], said["hint"], said["task_id"]) == ("it failed", "do this", 7)
    assert ("Retry-After" in response.headers) == ERRORS[code].temporary


async def test_an_unexpected_error_is_logged_and_tells_the_caller_nothing_but_its_request_id(client, caplog):
    response = await client.get("/crash")
    assert response.status == 500
    assert "secret detail" not in await response.text()
    assert "secret detail" in caplog.text
    assert caplog.records[-1].request_id == response.headers["X-Request-Id"]


async def test_a_handler_that_reads_another_body_than_declared_is_an_error_of_ours(client):
    assert (await client.post("/lied", json={"name": "x"})).status == 500


@pytest.mark.parametrize(
    "path", ["/nothing", "/things/abc", "/things/-1", "/things/1.5", f"/things/{10**25}", "/things/1/"]
)
async def test_what_no_route_matches_is_a_404_problem(client, path):
    response = await client.get(path)
    assert response.status == 404
    assert (await problem(response))["code"] == "not-found"


async def test_a_number_that_no_id_can_have_is_not_found(client):
    assert (await client.get(f"/things/{2**63 - 1}")).status == 200
    assert (await client.get(f"/things/{2**63}")).status == 404


async def test_another_method_is_a_405_problem_that_names_the_right_ones(client):
    response = await client.delete("/things")
    assert response.status == 405
    assert response.headers["Allow"] == "GET,POST"
    assert (await problem(response))["code"] == "method-not-allowed"


async def test_the_callers_request_id_is_kept_if_it_is_harmless(client):
    given = await client.get("/things/1", headers={"X-Request-Id": "ci-42.a_b"})
    assert given.headers["X-Request-Id"] == "ci-42.a_b"
    for strange in ("x" * 65, "a b", '"><script>'):
        made = await client.get("/things/1", headers={"X-Request-Id": strange})
        assert len(made.headers["X-Request-Id"]) == 36


async def test_an_unchanged_answer_is_304_without_a_body(client):
    first = await client.get("/things/1")
    tag = first.headers["ETag"]
    for asked in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await client.get("/things/1", headers={"If-None-Match": asked})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
    other = await client.get("/things/2", headers={"If-None-Match": tag})
    assert other.status == 200


async def test_every_answer_has_the_headers_that_keep_browsers_safe(client):
    for path in ("/things/1", "/crash", "/livez", "/things"):
        response = await client.get(path)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_readiness_says_what_is_missing_and_liveness_does_not_care():
    async def missing() -> str | None:
        return "the database does not answer"

    async def there() -> str | None:
        return None

    app = build_application([], verifier=TokenVerifier(key_set), ready_checks={"database": missing, "broker": there})
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/readyz")
        assert response.status == 503
        assert await response.json() == {"ready": False, "missing": {"database": "the database does not answer"}}
        assert (await client.get("/livez")).status == 200


async def test_requests_are_counted_by_route_and_not_by_path(client):
    for number in range(3):
        await client.get(f"/things/{number + 1000}")
    text = await (await client.get("/metrics")).text()
    assert 'route="/things/{thing_id:int}"' in text
    assert "/things/1000" not in text


async def test_a_client_that_goes_away_in_the_middle_of_a_body_leaves_the_service_working(client):
    reader, writer = await asyncio.open_connection(client.host, client.port)
    authorization = bearer("developer")["Authorization"]
    head = f"POST /things HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: 100\r\n\r\n{{"
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await reader.read()
    assert (await client.get("/things/1")).status == 200


def test_a_response_model_and_a_mapping_are_both_json():
    assert orjson.loads(respond(Thing(id=1, name="é")).body) == {"id": 1, "name": "é"}
    assert orjson.loads(respond({"a": None}).body) == {"a": None}
