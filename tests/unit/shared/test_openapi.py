from openapi_spec_validator import OpenAPIV31SpecValidator

from deborch_shared.contract.auth import Key, KeyCreate, NewKey
from deborch_shared.contract.base import Page
from deborch_shared.contract.builds import BuildCreate, BuildDetail, TaskQuery
from deborch_shared.errors import ErrorCode
from deborch_shared.http import Call, Route, openapi_document, respond
from deborch_shared.security import PUBLIC, Permission


async def handler(_: Call):
    return respond({})


ROUTES = [
    Route("POST", "/api/v1/keys", handler, Permission.KEY_MANAGE, "Make", body=KeyCreate, response=NewKey, status=201),
    Route("GET", "/api/v1/keys", handler, Permission.KEY_READ, "List", response=Page[Key]),
    Route("GET", "/api/v1/tasks", handler, Permission.TASK_READ, "List tasks", query=TaskQuery),
    Route("POST", "/api/v1/builds", handler, Permission.BUILD_CREATE, "Build", body=BuildCreate, response=BuildDetail,
          errors=(ErrorCode.NOT_FOUND,), request_headers={"Idempotency-Key": "Makes a repeat harmless"}),
    Route("GET", "/api/v1/builds/{build_id:int}", handler, PUBLIC, "Show", response=BuildDetail),
    Route("PUT", "/api/v1/blobs/{sha256}", handler, Permission.BLOB_WRITE, "Upload", body_limit_bytes=None),
]  # fmt: skip
DOCUMENT = openapi_document(ROUTES, title="t", version="1", description="d")


def operation(method: str, path: str) -> dict:
    return DOCUMENT["paths"][path][method]


def test_the_document_is_valid_openapi_3_1():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_each_route_is_described_once_with_an_id_of_its_own():
    operations = [described for methods in DOCUMENT["paths"].values() for described in methods.values()]
    assert len(operations) == len(ROUTES) == len({described["operationId"] for described in operations})


def test_public_routes_need_no_token_and_others_name_their_permission():
    assert operation("get", "/api/v1/builds/{build_id}")["security"] == []
    assert operation("get", "/api/v1/tasks")["x-permission"] == "task:read"
    assert {"401", "403"} <= operation("get", "/api/v1/tasks")["responses"].keys()


def test_every_reference_leads_somewhere():
    def references(part: object):
        if isinstance(part, dict):
            yield from [part["$ref"]] if "$ref" in part else []
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    names = {reference.rsplit("/", 1)[1] for reference in references(DOCUMENT)}
    assert names <= DOCUMENT["components"]["schemas"].keys()


def test_query_path_and_header_parameters_are_described():
    assert [p["name"] for p in operation("get", "/api/v1/tasks")["parameters"]] == [
        "limit", "cursor", "build_id", "state", "host",
    ]  # fmt: skip
    (in_path,) = operation("get", "/api/v1/builds/{build_id}")["parameters"]
    assert (in_path["in"], in_path["schema"]["type"]) == ("path", "integer")
    assert operation("post", "/api/v1/builds")["parameters"][0]["in"] == "header"


def test_problems_are_described_with_their_media_type():
    assert "application/problem+json" in operation("post", "/api/v1/builds")["responses"]["404"]["content"]
