"""HTTP for every service: a table of routes, one pipeline around each, OpenAPI from the same table, a typed client.

No route and no business rule of a service belongs here.
"""

from deborch_shared.http.application import READY_CHECKS, ReadyCheck, build_application
from deborch_shared.http.call import Call, Handler, Route, page, respond
from deborch_shared.http.client import ApiClient
from deborch_shared.http.openapi import openapi_document
from deborch_shared.http.server import bind, serve

__all__ = [
    "READY_CHECKS",
    "ApiClient",
    "Call",
    "Handler",
    "ReadyCheck",
    "Route",
    "bind",
    "build_application",
    "openapi_document",
    "page",
    "respond",
    "serve",
]
