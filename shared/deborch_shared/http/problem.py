"""Errors over HTTP: RFC 9457 problem+json, made from `DeborchError` and from nothing else."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from deborch_shared.errors import DeborchError, ErrorCode, bounded

PROBLEM_CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
_STATUS_CODES = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
}


def problem_response(error: DeborchError, request_id: str) -> web.Response:
    """`error` as an HTTP response; temporary ones say when to try again."""
    spec = error.spec
    headers = {"Retry-After": str(error.fields.get("retry_after_s", RETRY_AFTER_S))} if error.temporary else {}
    if error.code is ErrorCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="deborch"'
    if error.code is ErrorCode.RANGE_NOT_SATISFIABLE and "size_bytes" in error.fields:
        headers["Content-Range"] = f"bytes */{error.fields['size_bytes']}"
    body: dict[str, Any] = {
        **error.fields,
        "type": f"urn:deborch:error:{error.code.value}",
        "title": spec.title,
        "status": spec.status,
        "detail": bounded(error.message),
        "code": error.code.value,
        "hint": error.hint,
        "request_id": request_id,
    }
    return web.Response(
        body=orjson.dumps(body, default=str),
        status=spec.status,
        headers=headers,
        content_type=PROBLEM_CONTENT_TYPE,
    )


def from_http_exception(exception: web.HTTPException) -> DeborchError:
    code = _STATUS_CODES.get(exception.status, ErrorCode.BAD_REQUEST if exception.status < 500 else ErrorCode.INTERNAL)
    return DeborchError(code, exception.text or exception.reason)


def from_validation(error: ValidationError, where: str) -> DeborchError:
    """All that is wrong with a body or a query, each with its place."""
    problems = [
        {"at": ".".join(str(part) for part in item["loc"]) or where, "problem": item["msg"]}
        for item in error.errors(include_input=False, include_url=False, include_context=False)[:20]
    ]
    said = "; ".join(f"{problem['at']}: {problem['problem']}" for problem in problems)
    return DeborchError(
        ErrorCode.INVALID_INPUT,
        f"the {where} is not valid: {bounded(said)}",
        hint="see /api/v1/openapi.json for the fields",
        problems=problems,
    )


def error_from_problem(status: int, body: Mapping[str, Any]) -> DeborchError:
    """The error that a peer sent, as our own again."""
    known = {code.value for code in ErrorCode}
    code = ErrorCode(body["code"]) if body.get("code") in known else _code_of_status(status)
    standard = {"type", "title", "status", "detail", "code", "hint", "request_id"}
    fields = {key: value for key, value in body.items() if key not in standard}
    detail = bounded(str(body.get("detail") or body.get("title") or f"HTTP status {status}"))
    return DeborchError(code, detail, hint=bounded(str(body.get("hint", ""))), **fields)


def _code_of_status(status: int) -> ErrorCode:
    by_status = {
        401: ErrorCode.UNAUTHENTICATED,
        403: ErrorCode.FORBIDDEN,
        404: ErrorCode.NOT_FOUND,
        405: ErrorCode.METHOD_NOT_ALLOWED,
        409: ErrorCode.CONFLICT,
        413: ErrorCode.TOO_LARGE,
        429: ErrorCode.RATE_LIMITED,
    }
    if status in by_status:
        return by_status[status]
    return ErrorCode.SERVICE_UNAVAILABLE if status in {502, 503, 504} else ErrorCode.BAD_REQUEST
