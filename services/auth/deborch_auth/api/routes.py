"""Every route of the service, with the permission that it needs, once."""

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

import deborch_shared
from deborch_auth.api import views
from deborch_auth.handlers.context import Auth
from deborch_shared.contract.auth import (
    AccessToken,
    Enrol,
    EnrolmentCreate,
    EnrolmentToken,
    Key,
    KeyCreate,
    NewKey,
    TokenRequest,
    WhoAmI,
)
from deborch_shared.contract.base import Page, PageQuery
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Handler, Route, openapi_document, respond
from deborch_shared.security import PUBLIC, Permission

View = Callable[[Auth, Call], Awaitable[web.StreamResponse]]
_REFUSED = (ErrorCode.UNAUTHENTICATED, ErrorCode.RATE_LIMITED)
_SMALL_BODY_BYTES = 16 * 1024


def routes(auth: Auth) -> list[Route]:
    """The table; the last entry describes the others."""

    def to(view: View) -> Handler:
        return partial(view, auth)

    table = [
        Route(
            "POST", "/api/v1/token", to(views.issue_token), PUBLIC, "Exchange an API key for an access token",
            body=TokenRequest, response=AccessToken, body_limit_bytes=_SMALL_BODY_BYTES, errors=_REFUSED,
        ),
        Route("GET", "/api/v1/jwks.json", to(views.key_set), PUBLIC, "Keys that verify access tokens (RFC 7517)"),
        Route(
            "GET", "/api/v1/whoami", to(views.whoami), Permission.IDENTITY_READ, "Who you are and what you may do",
            response=WhoAmI,
        ),
        Route(
            "GET", "/api/v1/keys", to(views.list_keys), Permission.KEY_READ, "List API keys, newest first",
            query=PageQuery, response=Page[Key],
        ),
        Route(
            "POST", "/api/v1/keys", to(views.create_key), Permission.KEY_MANAGE, "Make an API key",
            body=KeyCreate, response=NewKey, status=201,
        ),
        Route(
            "POST", "/api/v1/keys/{key_id}/revoke", to(views.revoke_key), Permission.KEY_MANAGE, "Revoke an API key",
            response=Key, errors=(ErrorCode.NOT_FOUND, ErrorCode.CONFLICT),
        ),
        Route(
            "POST", "/api/v1/enrolments", to(views.create_enrolment), Permission.HOST_ENROL,
            "Allow a builder or composer of one name to enrol, once",
            body=EnrolmentCreate, response=EnrolmentToken, status=201, errors=(ErrorCode.NAME_TAKEN,),
        ),
        Route(
            "POST", "/api/v1/enrol", to(views.enrol), PUBLIC, "Exchange an enrolment token for a builder's service key",
            body=Enrol, response=NewKey, status=201, body_limit_bytes=_SMALL_BODY_BYTES,
            errors=(*_REFUSED, ErrorCode.NAME_TAKEN),
        ),
    ]  # fmt: skip

    async def describe(_: Call) -> web.StreamResponse:
        return respond(document)

    table.append(Route("GET", "/api/v1/openapi.json", describe, PUBLIC, "This description (OpenAPI 3.1)"))
    document = openapi_document(
        table,
        title="deb-orchestrator auth",
        version=deborch_shared.__version__,
        description="API keys, builder enrolment and access tokens.",
    )
    return table
