"""Composes over HTTP: logs by offset, files, the difference of two."""

import json

import pytest
from aiohttp.test_utils import TestClient, TestServer
from tests.integration.hub.composers import asked_for, commands_of, start_composer, stored, until
from tests.unit.hub_api.fakes import FakeVerifier

from deborch_hub.api import ApiDeps, build_hub_application
from deborch_shared.events.composes import ComposeCommit, ComposeOutput, ComposePhaseDone
from deborch_shared.http.sse import read_events
from deborch_shared.security import Principal, Role


class Verifier(FakeVerifier):
    """Knows `c1` and `c2` as composers."""

    async def verify(self, token: str) -> Principal:
        if token in {"c1", "c2"}:
            return Principal(f"host:{token}", frozenset({Role.COMPOSER}), host=token)
        return await super().verify(token)


@pytest.fixture
async def hub(start_replica):
    return await start_replica()


@pytest.fixture
async def client(hub):
    process = hub.process
    deps = ApiDeps(
        commands=hub.hub, composes=commands_of(hub), database=hub.database, blobs=process.blobs, logs=process.logs,
        ostree=process.ostree, feed=process.feed, archive_root=process.settings.data_dir / "archives",
        public_url="http://hub.test", key_fingerprint="F" * 40,
    )  # fmt: skip
    headers = {"Authorization": "Bearer viewer"}
    async with TestClient(TestServer(build_hub_application(deps, Verifier(), {})), headers=headers) as client:
        yield client


async def append(client: TestClient, compose_id: int, attempt: int, offset: int, text: bytes, token: str) -> int:
    path = f"/api/v1/composes/{compose_id}/attempts/{attempt}/logs/gather.minimal.amd64?offset={offset}"
    return (await client.put(path, data=text, headers={"Authorization": f"Bearer {token}"})).status


async def test_the_owner_alone_writes_a_phase_log_and_a_chunk_sent_twice_is_there_once(hub, client, stack, amqp_url):
    composer = await start_composer(stack, amqp_url, hub)
    await start_composer(stack, amqp_url, hub, "c2")
    grant = await composer.claim(hub, await asked_for(hub))
    number = grant.compose_id
    assert [await append(client, number, 1, 0, b"one\n", "c1") for _ in range(2)] == [200, 200]
    assert await append(client, number, 1, 4, b"two\n", "c1") == 200
    assert await append(client, number, 1, 100, b"gap", "c1") == 409
    assert await append(client, number, 1, 8, b"x", "c2") == 403
    assert await append(client, number, 2, 0, b"x", "c1") == 409
    log = f"/api/v1/composes/{number}/logs/gather.minimal.amd64"
    assert await (await client.get(log)).text() == "one\ntwo\n"
    assert await (await client.get(log, headers={"Range": "bytes=4-"})).text() == "two\n"
    assert (await client.get(f"/api/v1/composes/{number}/logs/..%2f..%2fx")).status == 404
    await composer.say(ComposePhaseDone(**composer.of(grant), phase="gather", target="minimal.amd64", state="done"))
    async with client.get(f"{log}/stream", headers={"Last-Event-ID": "4"}) as response:
        events = [(event.event, json.loads(event.data)) async for event in read_events(response) if event.data]
    assert events == [("chunk", {"offset": 4, "text": "two\n"}), ("end", {"state": "done"})]


async def test_two_composes_are_compared_by_packages_commits_and_files(hub, client, stack, amqp_url):
    composer = await start_composer(stack, amqp_url, hub)
    numbers = []
    for version, commit in (("5.2-1", "1" * 64), ("5.2-2", "2" * 64)):
        document = {"payload": {"packages": {"minimal": {"amd64": {"bash_5": {f"bash_{version}_amd64": {}}}}}}}
        sha256, size_bytes = await stored(hub, json.dumps(document).encode())
        grant = await composer.claim(hub, await asked_for(hub))
        output = ComposeOutput(path="metadata/packages.json", kind="metadata", sha256=sha256, size_bytes=size_bytes)
        made = ComposeCommit(ref="debian/minimal", commit=commit, variant="minimal", architecture="amd64")
        await composer.finish(grant, outputs=(output,), commits=(made,))
        await until(hub, grant.compose_id, "finished")
        numbers.append(grant.compose_id)
    diff = await (await client.get(f"/api/v1/composes/{numbers[0]}/diff/{numbers[1]}")).json()
    (target,) = diff["targets"]
    assert target["packages"] == [{"package": "bash", "architecture": "amd64", "before": "5.2-1", "after": "5.2-2"}]
    assert (target["commit_before"], target["commit_after"]) == ("1" * 64, "2" * 64)
    assert [change["path"] for change in diff["outputs"]] == ["metadata/packages.json"]
    page = await (await client.get(f"/api/v1/composes/{numbers[0]}/outputs")).json()
    assert [file["path"] for file in page["items"]] == ["metadata/packages.json"]
    file = await client.get(f"/api/v1/composes/{numbers[0]}/outputs/metadata/packages.json")
    assert "bash_5.2-1" in await file.text()
    assert (await client.get(f"/api/v1/composes/{numbers[0]}/outputs/nosuch")).status == 404


async def test_composes_composers_refs_and_schedules_are_listed(hub, client, stack, amqp_url):
    composer = await start_composer(stack, amqp_url, hub)
    grant = await composer.claim(hub, await asked_for(hub))
    page = await (await client.get("/api/v1/composes?state=running&name=minimal")).json()
    assert [one["id"] for one in page["items"]] == [grant.compose_id]
    (known,) = (await (await client.get("/api/v1/composers")).json())["items"]
    assert (known["name"], known["online"], known["running"]) == ("c1", True, [grant.compose_id])
    for path in ("refs", "image-tags", "schedules", "promotions"):
        assert (await (await client.get(f"/api/v1/{path}")).json())["items"] == []
    assert (await client.get("/api/v1/refs/debian/minimal")).status == 404
    assert (await client.post(f"/api/v1/composes/{grant.compose_id}/cancel")).status == 403
    developer = {"Authorization": "Bearer developer"}
    assert (await client.post(f"/api/v1/composes/{grant.compose_id}/cancel", headers=developer)).status == 200
    promote = await client.post("/api/v1/refs/a/promote", json={"compose_id": 1}, headers=developer)
    assert promote.status == 403
    releaser = {"Authorization": "Bearer releaser"}
    wanted = {"compose_id": grant.compose_id}
    assert (await client.post("/api/v1/refs/a/promote", json=wanted, headers=releaser)).status == 409
