import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from deborch_shared.contract.auth import TokenRequest
from deborch_shared.contract.base import Input, Output
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient, serve
from deborch_shared.http.problem import error_from_problem, problem_response


class Answer(Output):
    value: int


class Question(Input):
    text: str
    extra: str | None = None


class Peer:
    """A service that answers what the test tells it to, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[web.Response | DeborchError | None] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if self.answers else web.json_response({"value": 1, "added_later": True})
        if answer is None:
            request.transport.abort()
            return web.Response()
        return problem_response(answer, "r1") if isinstance(answer, DeborchError) else answer


@pytest.fixture
def peer(monkeypatch) -> Peer:
    monkeypatch.setattr("deborch_shared.http.client._RETRY_DELAYS_S", (0.0, 0.0))
    return Peer()


@pytest.fixture
async def url(peer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", peer.handle)
    async with serve(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


UNAVAILABLE = DeborchError(ErrorCode.DATABASE_UNAVAILABLE, "away")


async def test_an_answer_with_fields_of_a_newer_service_is_read(url):
    async with ApiClient(url) as client:
        assert (await client.get("/x", Answer)).value == 1


async def test_a_problem_is_raised_as_the_error_that_it_was(peer, url):
    peer.answers = [DeborchError(ErrorCode.VERSION_PRESENT, "is there", hint="choose another", version="1.0-1")]
    async with ApiClient(url) as client:
        with pytest.raises(DeborchError) as caught:
            await client.get("/x", Answer)
    error = caught.value
    assert (error.code, error.message, error.hint) == (ErrorCode.VERSION_PRESENT, "is there", "choose another")
    assert error.fields == {"version": "1.0-1"}


async def test_reading_is_tried_again_after_what_is_temporary(peer, url):
    peer.answers = [UNAVAILABLE, None]
    async with ApiClient(url) as client:
        assert (await client.get("/x", Answer)).value == 1
    assert len(peer.asked) == 3


async def test_a_post_is_tried_again_only_with_an_idempotency_key(peer, url):
    async with ApiClient(url) as client:
        peer.answers = [UNAVAILABLE]
        with pytest.raises(DeborchError):
            await client.post("/x", Answer, Question(text="x"))
        assert len(peer.asked) == 1
        peer.answers = [UNAVAILABLE]
        await client.post("/x", Answer, Question(text="x"), idempotency_key="k")
    assert [headers.get("Idempotency-Key") for _, headers, _ in peer.asked] == [None, "k", "k"]


async def test_what_is_not_temporary_is_not_tried_again(peer, url):
    peer.answers = [DeborchError(ErrorCode.NOT_FOUND, "no")]
    async with ApiClient(url) as client:
        with pytest.raises(DeborchError):
            await client.get("/x", Answer)
    assert len(peer.asked) == 1


async def test_retries_end_and_the_last_error_is_raised(peer, url):
    peer.answers = [UNAVAILABLE] * 10
    async with ApiClient(url) as client:
        with pytest.raises(DeborchError) as caught:
            await client.get("/x", Answer)
    assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE
    assert len(peer.asked) == 3


async def test_a_service_that_is_not_there_is_unavailable_and_the_address_is_named():
    async with ApiClient("http://127.0.0.1:9") as client:
        with pytest.raises(DeborchError, match=r"127\.0\.0\.1:9") as caught:
            await client.post("/x", Answer)
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


async def test_a_refused_token_is_renewed_once(peer, url):
    given: list[bool] = []

    async def token(renew: bool) -> str:
        given.append(renew)
        return f"t{len(given)}"

    peer.answers = [DeborchError(ErrorCode.UNAUTHENTICATED, "expired")]
    async with ApiClient(url, token=token) as client:
        await client.get("/x", Answer)
        assert given == [False, True]
        assert [headers["Authorization"] for _, headers, _ in peer.asked] == ["Bearer t1", "Bearer t2"]
        peer.answers = [DeborchError(ErrorCode.UNAUTHENTICATED, "revoked")] * 5
        with pytest.raises(DeborchError) as caught:
            await client.post("/x", Answer)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED
    assert len(peer.asked) == 4


async def test_a_secret_in_a_body_is_sent_and_shows_nowhere_else(peer, url):
    wanted = TokenRequest(api_key="hunter2")
    async with ApiClient(url) as client:
        await client.post("/x", Answer, wanted)
    assert peer.asked[0][2] == b'{"api_key":"hunter2"}'
    assert "hunter2" not in f"{wanted!r} {wanted} {wanted.model_dump()}"


async def test_an_answer_cut_off_in_the_middle_is_unavailable(peer, url):
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.close()
        return response

    peer.handle = cut
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", cut)
    async with serve(app, "127.0.0.1", 0) as port, ApiClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(DeborchError) as caught:
            await asyncio.wait_for(client.get("/x", Answer), 10)
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (502, {}, ErrorCode.SERVICE_UNAVAILABLE),
        (404, {"code": "of-a-newer-release"}, ErrorCode.NOT_FOUND),
        (418, {"detail": None}, ErrorCode.BAD_REQUEST),
        (429, {"title": "slow down"}, ErrorCode.RATE_LIMITED),
        (405, {}, ErrorCode.METHOD_NOT_ALLOWED),
    ],
)
def test_an_answer_of_a_proxy_or_a_newer_service_becomes_the_nearest_error(status, body, code):
    assert error_from_problem(status, body).code is code
