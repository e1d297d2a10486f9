"""A route as data, and one call of it as its handler sees it: authenticated, authorised, validated."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel

from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Principal
from deborch_shared.security.permissions import Requirement

ModelT = TypeVar("ModelT", bound=BaseModel)
DEFAULT_BODY_LIMIT_BYTES = 1024 * 1024
NOBODY = Principal("anonymous", frozenset())


@dataclass(slots=True)
class Call:
    """One request after authentication, authorisation and validation."""

    request: web.Request
    principal: Principal
    query: BaseModel | None = None
    body: BaseModel | None = None

    def body_as(self, model: type[ModelT]) -> ModelT:
        return _as(self.body, model)

    def query_as(self, model: type[ModelT]) -> ModelT:
        return _as(self.query, model)

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    def path_int(self, name: str) -> int:
        """A number in the path, for `{name:int}`; one that no id can have is not found."""
        number = int(self.request.match_info[name])
        if number >= 2**63:
            raise DeborchError(ErrorCode.NOT_FOUND, f"there is no {name.removesuffix('_id')} {number}")
        return number


def _as(value: BaseModel | None, model: type[ModelT]) -> ModelT:
    if not isinstance(value, model):
        raise TypeError(f"the route table declares {type(value).__name__}, the handler reads {model.__name__}")
    return value


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `path` may hold `{name}`, `{name:int}` and `{name:path}` (which has slashes in it)."""

    method: str
    path: str
    handler: Handler
    needs: Requirement
    """A permission, or PUBLIC."""
    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    content_type: str = "application/json"
    body_limit_bytes: int | None = DEFAULT_BODY_LIMIT_BYTES
    """None: the handler streams the body itself and bounds it."""
    request_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that the operation reads: name -> what it is for."""
    errors: Sequence[ErrorCode] = ()
    answers_head: bool = False
    """A GET that may be asked with HEAD: for files, never for streams."""


def respond(
    model: BaseModel | Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON response."""
    payload = model.__pydantic_serializer__.to_json(model) if isinstance(model, BaseModel) else orjson.dumps(model)
    return web.Response(body=payload, status=status, headers=headers, content_type="application/json")


def page(items: Sequence[BaseModel], *, next_cursor: str | None) -> web.Response:
    """One page of a list: `{"items": [...], "next": cursor or null}`."""
    parts = b",".join(item.__pydantic_serializer__.to_json(item) for item in items)
    return web.Response(
        body=b'{"items":[' + parts + b'],"next":' + orjson.dumps(next_cursor) + b"}",
        content_type="application/json",
    )
