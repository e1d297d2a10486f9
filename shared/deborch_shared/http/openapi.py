"""OpenAPI 3.1 from the table of routes and the pydantic models that it names."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deborch_shared.errors import ERRORS, ErrorCode
from deborch_shared.http.call import Route
from deborch_shared.http.problem import PROBLEM_CONTENT_TYPE
from deborch_shared.security import PUBLIC

_REFERENCE = "#/components/schemas/{model}"
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]")  # as pydantic names the schema of a generic such as Page[Key]
_PATH_PARAMETER = re.compile(r"\{(\w+)(:int|:path)?\}")


class Problem(BaseModel):
    """RFC 9457 problem details, with our stable code and a hint that says what to do next."""

    type: str
    title: str
    status: int
    detail: str
    code: ErrorCode
    hint: str = ""
    request_id: str = ""


def openapi_document(routes: Sequence[Route], *, title: str, version: str, description: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `routes`."""
    models = {model for route in routes for model in (route.body, route.response) if model is not None} | {Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(m, "validation") for m in ordered], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PATH_PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": description,
            "license": {"name": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.path.removeprefix("/api/v1/").split("/")[0]],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route),
    }
    if route.needs is PUBLIC:
        operation["security"] = []
    else:
        operation["x-permission"] = str(route.needs)
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    elif route.body_limit_bytes is None:
        operation["requestBody"] = {"content": {"application/octet-stream": {}}}
    return operation


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", _PATH_PARAMETER.sub(r"by_\1", route.path.removeprefix("/api/v1/")))
    return f"{route.method.lower()}_{words.strip('_')}"


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 0} if kind == ":int" else {"type": "string"},
        }
        for name, kind in _PATH_PARAMETER.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=_REFERENCE)
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _inlined(part, schema.get("$defs", {})),
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(part, dict):
        if "$ref" in part:
            return definitions[part["$ref"].rsplit("/", 1)[1]]
        return {key: _inlined(value, definitions) for key, value in part.items()}
    return [_inlined(value, definitions) for value in part] if isinstance(part, list) else part


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": purpose,
            "schema": {"type": "string"},
        }
        for name, purpose in route.request_headers.items()
    ]


def _responses(route: Route) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.response is not None:
        good["content"] = {route.content_type: {"schema": _ref(route.response)}}
    elif route.content_type != "application/json":
        good["content"] = {route.content_type: {}}
    codes = [ErrorCode.INVALID_INPUT, *route.errors]
    if route.needs is not PUBLIC:
        codes += [ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN]
    problem = {PROBLEM_CONTENT_TYPE: {"schema": _ref(Problem)}}
    titles: dict[str, list[str]] = {}
    for spec in (ERRORS[code] for code in codes):
        titles.setdefault(str(spec.status), []).append(spec.title)
    responses = {status: {"description": "; ".join(of), "content": problem} for status, of in titles.items()}
    return {str(route.status): good, **responses, "default": {"description": "A problem", "content": problem}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=_UNSAFE_IN_NAME.sub("_", model.__name__))}
