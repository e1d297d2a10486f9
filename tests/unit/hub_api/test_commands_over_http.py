import hashlib

import pytest
from tests.unit.hub_api.fakes import BUILDER, FakeDatabase, Hub

from deborch_shared.contract.states import HostState

TASK = {"cpu": 1, "priority": 3}


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path)


@pytest.fixture
async def client(hub):
    async with hub.client() as client:
        yield client


async def create_task(client, key: str | None, body: dict | None = None):
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/api/v1/tasks", json=body or TASK, headers=headers)


async def test_a_task_is_created_for_the_caller(hub, client):
    response = await create_task(client, None)
    assert (response.status, await response.json()) == (201, {"id": 7, "state": "free"})
    assert response.headers["Location"] == "/api/v1/tasks/7"
    ((name, command, by, once),) = hub.commands.given
    assert (name, command.priority, by, once) == ("create_task", 3, "key:admin", None)


async def test_the_same_request_has_the_same_identity_whatever_its_spelling(hub, client):
    await create_task(client, "k1")
    await client.post(
        "/api/v1/tasks", data=b'{ "priority": 3,\n "cpu": 1 }', headers={"Idempotency-Key": "k1", "Content-Type": "x/y"}
    )
    await create_task(client, "k1", {"cpu": 2})
    first, again, other = [given[3] for given in hub.commands.given]
    assert first == again
    assert first.key == other.key == "k1"
    assert first.request != other.request
    assert len(first.request) == hashlib.sha256().digest_size


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "ü"])
async def test_a_key_that_is_none_is_refused(hub, client, key):
    assert (await create_task(client, key)).status in {400, 422}
    assert hub.commands.given == []


@pytest.mark.parametrize("body", [{"cpu": -1}, {"surprise": 1}, {"priority": 5_000}, [], "text"])
async def test_a_body_that_does_not_fit_is_refused(hub, client, body):
    response = await client.post("/api/v1/tasks", json=body)
    assert (response.status, (await response.json())["code"]) == (422, "invalid-input")
    assert hub.commands.given == []


async def test_a_host_registers_as_itself(hub, client):
    body = {"name": "builder1", "architectures": ["amd64"], "cpu": 2, "memory_bytes": 1, "disk_bytes": 1}
    response = await client.post("/api/v1/hosts", json=body, headers=BUILDER)
    assert (response.status, (await response.json())["lease_s"]) == (200, 60)
    assert hub.commands.given[0][2] == "host:builder1"


async def test_the_state_of_a_host_is_changed_by_name(hub, client):
    response = await client.post("/api/v1/hosts/b1/state", json={"state": "draining"})
    assert response.status == 404
    assert hub.commands.given == [("change_host", "b1", HostState.DRAINING, "key:admin")]


@pytest.mark.parametrize(
    "cursor", ["x", "bnVsbA", "IngiCg!!", "WzFd", "InRleHQi", "LTE", "dHJ1ZQ", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"]
)
@pytest.mark.parametrize("path", ["builds", "tasks", "artifacts"])
async def test_a_cursor_that_is_not_of_the_list_is_refused(hub, client, path, cursor):
    response = await client.get(f"/api/v1/{path}", params={"cursor": cursor})
    assert (response.status, (await response.json())["code"]) == (422, "invalid-input")
    assert hub.database.asked == []


@pytest.mark.parametrize("path", ["targets", "hosts", "archives"])
async def test_a_list_by_name_refuses_the_cursor_of_a_list_by_id(client, path):
    assert (await client.get(f"/api/v1/{path}", params={"cursor": "Nw"})).status == 422


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "501"}, {"state": "sleeping"}, {"surprise": "1"}])
async def test_a_query_that_does_not_fit_is_refused(client, query):
    assert (await client.get("/api/v1/tasks", params=query)).status == 422


async def test_what_goes_wrong_in_the_database_is_a_problem_with_a_request_id(tmp_path):
    class Broken(FakeDatabase):
        async def fetch(self, query: str, *args: object):
            raise RuntimeError("boom")

    async with Hub(tmp_path, Broken()).client() as client:
        response = await client.get("/api/v1/targets", headers={"X-Request-Id": "abc"})
        problem = await response.json()
    assert (response.status, problem["code"], problem["request_id"]) == (500, "internal", "abc")
    assert "boom" not in problem["detail"]
