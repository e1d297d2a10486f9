"""One aiohttp application from a table of routes. Each route gets the same pipeline:

request id -> authentication -> permission -> query and body validation -> handler -> ETag -> problem+json -> metrics.
A route without a declared permission cannot be written down; without a valid token nothing but PUBLIC is reached.
"""

import hashlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler as AiohttpHandler
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel, ValidationError

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http.call import NOBODY, Call, Route
from deborch_shared.http.problem import from_http_exception, from_validation, problem_response
from deborch_shared.ids import new_event_id
from deborch_shared.security import PUBLIC, Permission, Principal, TokenVerifier
from deborch_shared.telemetry import request_span

_log = logging.getLogger(__name__)
_requests = Counter("deborch_http_requests_total", "HTTP requests", ["method", "route", "status"])
_durations = Histogram("deborch_http_request_seconds", "Time to answer", ["method", "route"])
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
ReadyCheck = Callable[[], Awaitable[str | None]]
"""Returns None if ready, else what is missing."""
_REQUEST_ID_KEY = web.RequestKey("deborch.request_id", str)
_STARTED_KEY = web.RequestKey("deborch.started", web.StreamResponse)
READY_CHECKS: web.AppKey[Mapping[str, ReadyCheck]] = web.AppKey("ready_checks", dict)
ROUTES: web.AppKey[Sequence[Route]] = web.AppKey("routes", list)


def build_application(
    routes: Sequence[Route], *, verifier: TokenVerifier, ready_checks: Mapping[str, ReadyCheck]
) -> web.Application:
    """An application that serves `routes` and `/livez`, `/readyz`, `/metrics`."""
    app = web.Application(middlewares=[_last_resort], client_max_size=0)
    app[READY_CHECKS] = ready_checks
    app[ROUTES] = list(routes)
    app.on_response_prepare.append(_before_headers)
    for route in (*routes, *_OPERATIONS):
        methods = (route.method, "HEAD") if route.answers_head else (route.method,)
        for method in methods:
            app.router.add_route(method, _aiohttp_path(route.path), _pipeline(route, verifier), name=None)
    return app


def _aiohttp_path(path: str) -> str:
    path = re.sub(r"\{(\w+):path\}", r"{\1:.+}", path)
    return re.sub(r"\{(\w+):int\}", r"{\1:[0-9]{1,20}}", path)


def _pipeline(route: Route, verifier: TokenVerifier) -> AiohttpHandler:
    duration = _durations.labels(route.method, route.path)
    span_name = f"{route.method} {route.path}"

    async def handle(request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        request_id = _request_id(request)
        try:
            with request_span(span_name, request.headers.get("traceparent", "")):
                call = await _admit(route, verifier, request)
                response = await route.handler(call)
            if route.method == "GET" and isinstance(response, web.Response):
                _conditional(request, response)
        except DeborchError as error:
            response = _failed(request, error)
        except web.HTTPException as error:
            response = _failed(request, from_http_exception(error))
        except (ConnectionError, TimeoutError) as error:
            _log.info("client went away on %s %s: %s", route.method, route.path, error)
            response = _failed(request, DeborchError(ErrorCode.BAD_REQUEST, "the request broke off"))
        except Exception:
            _log.exception("unexpected error on %s %s", route.method, route.path, extra={"request_id": request_id})
            response = _failed(request, _internal())
        _requests.labels(route.method, route.path, str(response.status)).inc()
        duration.observe(time.perf_counter() - began)
        return response

    return handle


async def _admit(route: Route, verifier: TokenVerifier, request: web.Request) -> Call:
    if "\0" in request.path or any("\0" in value for value in request.query.values()):
        raise DeborchError(ErrorCode.BAD_REQUEST, "the address holds a NUL character")
    principal = NOBODY
    if route.needs is not PUBLIC:
        principal = await _authenticate(verifier, request)
        if not isinstance(route.needs, Permission) or not principal.may(route.needs):
            raise DeborchError(
                ErrorCode.FORBIDDEN,
                f"{principal.subject} lacks the permission {route.needs}",
                hint="ask an admin for a key with a role that has it; `deborch whoami` shows yours",
            )
    call = Call(request, principal)
    if route.query is not None:
        call.query = _validated(route.query, dict(request.query), "query")
    if route.body_limit_bytes is not None and request.body_exists:
        body = await _read_bounded(request, route.body_limit_bytes)
        if route.body is not None:
            call.body = _parsed(route.body, body)
    elif route.body is not None:
        raise DeborchError(ErrorCode.BAD_REQUEST, "the request has no body", hint="send a JSON object")
    return call


async def _authenticate(verifier: TokenVerifier, request: web.Request) -> Principal:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise DeborchError(ErrorCode.UNAUTHENTICATED, "no bearer token was sent", hint="run `deborch login`")
    return await verifier.verify(token.strip())


async def _read_bounded(request: web.Request, limit_bytes: int) -> bytes:
    if (request.content_length or 0) > limit_bytes:
        raise _too_large(limit_bytes)
    parts = bytearray()
    async for chunk in request.content.iter_any():
        parts += chunk
        if len(parts) > limit_bytes:
            raise _too_large(limit_bytes)
    return bytes(parts)


def _too_large(limit_bytes: int) -> DeborchError:
    return DeborchError(ErrorCode.TOO_LARGE, f"the body is larger than {limit_bytes} bytes")


def _parsed(model: type[BaseModel], body: bytes) -> BaseModel:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error, "body") from None


def _validated(model: type[BaseModel], values: Mapping[str, str], where: str) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise from_validation(error, where) from None


def _conditional(request: web.Request, response: web.Response) -> None:
    if response.status != 200 or not isinstance(response.body, bytes):
        return
    if "ETag" not in response.headers:
        response.headers["ETag"] = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    asked = request.headers.get("If-None-Match", "")
    if asked and (
        asked == "*" or response.headers["ETag"] in {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    ):
        response.set_status(304)
        response.body = None


def _request_id(request: web.Request) -> str:
    """The caller's own if it is harmless, else one made here; the same each time it is asked for."""
    known: str | None = request.get(_REQUEST_ID_KEY)
    if known is None:
        given = request.headers.get("X-Request-Id", "")
        known = request[_REQUEST_ID_KEY] = given if _REQUEST_ID.match(given) else new_event_id()
    return known


async def _before_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[_STARTED_KEY] = response
    response.headers["X-Request-Id"] = _request_id(request)
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


def _failed(request: web.Request, error: DeborchError) -> web.StreamResponse:
    """The problem, or, once a streamed response has begun, that response with its connection cut: never a false end."""
    started: web.StreamResponse | None = request.get(_STARTED_KEY)
    if started is None:
        return problem_response(error, _request_id(request))
    if request.transport is not None:
        request.transport.abort()
    return started


def _internal() -> DeborchError:
    return DeborchError(
        ErrorCode.INTERNAL,
        "something went wrong here that should not",
        hint="give the operator this request id",
    )


@web.middleware
async def _last_resort(request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
    """Answers what no route matched, in the same form as everything else."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = problem_response(from_http_exception(error), _request_id(request))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response


async def _livez(_: Call) -> web.StreamResponse:
    return web.Response(text="ok\n")


async def _readyz(call: Call) -> web.StreamResponse:
    missing = {name: problem for name, check in call.request.app[READY_CHECKS].items() if (problem := await check())}
    return web.Response(
        body=orjson.dumps({"ready": not missing, "missing": missing}),
        status=503 if missing else 200,
        content_type="application/json",
    )


async def _metrics(_: Call) -> web.StreamResponse:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


_OPERATIONS = (
    Route("GET", "/livez", _livez, PUBLIC, "Whether the process runs", content_type="text/plain"),
    Route("GET", "/readyz", _readyz, PUBLIC, "Whether it can serve, and if not, what is missing"),
    Route("GET", "/metrics", _metrics, PUBLIC, "Prometheus metrics", content_type="text/plain"),
)
