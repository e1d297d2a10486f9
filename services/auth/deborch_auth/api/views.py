"""From a call to a handler and back."""

from aiohttp import web

from deborch_auth.handlers import enrolments, keys, signing, tokens
from deborch_auth.handlers.context import Auth
from deborch_shared.contract.auth import Enrol, EnrolmentCreate, KeyCreate, TokenRequest, WhoAmI
from deborch_shared.contract.base import PageQuery
from deborch_shared.http import Call, page, respond

_SECRET = {"Cache-Control": "no-store"}
"""RFC 6749, section 5.1: an answer with a credential in it is kept by nobody on the way."""


async def issue_token(auth: Auth, call: Call) -> web.StreamResponse:
    wanted = call.body_as(TokenRequest)
    token = await tokens.issue_token(auth, wanted.api_key.get_secret_value(), address=_address(call))
    return respond(token, headers=_SECRET)


async def key_set(auth: Auth, _: Call) -> web.StreamResponse:
    return respond(await signing.key_set(auth), headers={"Cache-Control": "public, max-age=30"})


async def whoami(_: Auth, call: Call) -> web.StreamResponse:
    principal = call.principal
    return respond(
        WhoAmI(
            subject=principal.subject,
            roles=tuple(sorted(principal.roles)),
            permissions=tuple(sorted(principal.permissions)),
            host=principal.host,
            expires_at=principal.expires_at,
        )
    )


async def list_keys(auth: Auth, call: Call) -> web.StreamResponse:
    items, following = await keys.list_keys(auth, call.query_as(PageQuery))
    return page(items, next_cursor=following)


async def create_key(auth: Auth, call: Call) -> web.StreamResponse:
    made = await keys.create_key(auth, call.body_as(KeyCreate), by=call.principal)
    return respond(made, status=201, headers=_SECRET)


async def revoke_key(auth: Auth, call: Call) -> web.StreamResponse:
    return respond(await keys.revoke_key(auth, call.path("key_id"), by=call.principal))


async def create_enrolment(auth: Auth, call: Call) -> web.StreamResponse:
    made = await enrolments.create_enrolment(auth, call.body_as(EnrolmentCreate), by=call.principal)
    return respond(made, status=201, headers=_SECRET)


async def enrol(auth: Auth, call: Call) -> web.StreamResponse:
    made = await enrolments.enrol(auth, call.body_as(Enrol), address=_address(call))
    return respond(made, status=201, headers=_SECRET)


def _address(call: Call) -> str:
    """Whom the connection comes from; what a client says in headers is not believed."""
    return call.request.remote or "unknown"
