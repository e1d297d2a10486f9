import pytest
from tests.unit.hub_api.fakes import VIEWER


async def get(client, path, **params: object):
    response = await client.get(f"/api/v1/{path}", params=params, headers=VIEWER)
    assert response.status == 200, await response.text()
    return await response.json()


async def ids_of_all_pages(client, path, **params: object):
    """The ids of a list, page by page, two on each."""
    found, cursor = [], None
    while True:
        answer = await get(client, path, limit=2, **params, **({"cursor": cursor} if cursor else {}))
        found += [item["id"] for item in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            return found
        assert len(answer["items"]) == 2


async def test_targets_come_by_name_with_the_address_of_their_archive(client, rows):
    for name in ("trixie", "bookworm", "sid"):
        await rows.target(name, ("amd64", "arm64"))
    first = await get(client, "targets", limit=2)
    assert [target["name"] for target in first["items"]] == ["bookworm", "sid"]
    second = await get(client, "targets", limit=2, cursor=first["next"])
    assert [target["name"] for target in second["items"]] == ["trixie"]
    assert second["next"] is None
    one = await get(client, "targets/sid")
    assert one["archive_url"] == "http://hub.test/archives/sid"
    assert one["architectures"] == ["amd64", "arm64"]


@pytest.mark.parametrize(
    "path",
    ["targets/none", "builds/99", "tasks/99", "tasks/99/why", "tasks/99/log", "tasks/99/log/stream", "hosts/none",
     "archives/none", "archives/none/sources", "archives/none/snapshots", "archives/none/packages",
     "artifacts/99/content"],
)  # fmt: skip
async def test_what_is_not_there_is_not_found_and_the_problem_says_so(client, path):
    response = await client.get(f"/api/v1/{path}")
    problem = await response.json()
    assert (response.status, problem["code"]) == (404, "not-found")
    assert response.content_type == "application/problem+json"


async def test_builds_come_newest_first_and_by_each_filter(client, rows):
    first, second = await rows.target("bookworm"), await rows.target("sid")
    a = await rows.build(first, "hello", owner="key:ann")
    b = await rows.build(second, "hello", state="failed", owner="key:bob", message="no")
    c = await rows.build(first, "zlib", state="completed", owner="key:ann")
    d = await rows.build(first, "hello", state="publishing", owner="key:bob", version="2")
    e = await rows.build(second, "zlib", owner="key:ann")
    assert await ids_of_all_pages(client, "builds") == [e, d, c, b, a]
    assert await ids_of_all_pages(client, "builds", target="bookworm") == [d, c, a]
    assert await ids_of_all_pages(client, "builds", source="hello") == [d, b, a]
    assert await ids_of_all_pages(client, "builds", owner="key:ann") == [e, c, a]
    assert await ids_of_all_pages(client, "builds", state="building") == [e, a]
    assert await ids_of_all_pages(client, "builds", state="failed") == [b]
    assert await ids_of_all_pages(client, "builds", state="building", target="sid", owner="key:ann") == [e]
    assert await ids_of_all_pages(client, "builds", source="hello", owner="key:bob", state="publishing") == [d]
    assert await ids_of_all_pages(client, "builds", owner="key:bob", target="sid", state="failed") == [b]
    assert await ids_of_all_pages(client, "builds", target="none") == []


async def test_a_build_shows_its_tasks_source_files_and_what_it_comes_after(client, rows):
    target = await rows.target()
    dsc, tarball = await rows.blob(b"the dsc"), await rows.blob(b"the tarball")
    package = await rows.database.fetchval("INSERT INTO source_package (name) VALUES ('hello') RETURNING id")
    version = await rows.database.fetchval(
        "INSERT INTO source_version (source_package_id, version, version_key, dsc_sha256, dsc_name, control,"
        " architectures) VALUES ($1, '2.10-3', '', $2, 'hello_2.10-3.dsc', '', '{any}') RETURNING id",
        package,
        dsc,
    )
    await rows.database.execute(
        "INSERT INTO source_file VALUES ($1, 'hello_2.10.orig.tar.gz', $2, 11)", version, tarball
    )
    before = await rows.build(target, "zlib")
    build = await rows.build(target, version="2.10-3", source_version_id=version)
    await rows.database.execute("INSERT INTO build_dependency VALUES ($1, $2)", build, before)
    amd64 = await rows.task(build_id=build, label="hello 2.10-3 amd64")
    arm64 = await rows.task("running", build_id=build, architecture="arm64", host_id=await rows.host())
    shown = await get(client, f"builds/{build}")
    assert [task["id"] for task in shown["tasks"]] == [amd64, arm64]
    assert shown["tasks"][1]["host"] == "b1"
    assert [file["name"] for file in shown["source_files"]] == ["hello_2.10-3.dsc", "hello_2.10.orig.tar.gz"]
    assert shown["source_files"][0] == {"name": "hello_2.10-3.dsc", "sha256": dsc.hex(), "size_bytes": 7}
    assert (shown["after_builds"], shown["target"], shown["version"]) == ([before], "bookworm", "2.10-3")


async def test_commands_on_a_build_answer_with_the_build(hub, client, rows):
    target = await rows.target()
    builds = [await rows.build(target, f"p{number}") for number in range(7)]
    created = await client.post("/api/v1/builds", json={"target": "bookworm", "suite_source": {"name": "hello"}})
    assert (created.status, (await created.json())["id"]) == (201, 7)
    assert (await client.post(f"/api/v1/builds/{builds[0]}/cancel")).status == 200
    assert (await client.post(f"/api/v1/builds/{builds[0]}/giveback", json={"architectures": ["amd64"]})).status == 200
    task = await rows.task()
    assert (await (await client.post(f"/api/v1/tasks/{task}/cancel")).json())["id"] == task
    assert [given[0] for given in hub.commands.given] == ["create_build", "cancel_build", "give_back", "cancel_task"]


async def test_tasks_come_newest_first_and_by_each_filter(client, rows):
    target = await rows.target()
    build = await rows.build(target)
    b1, b2 = await rows.host("b1"), await rows.host("b2")
    free = await rows.task()
    running = await rows.task("running", host_id=b1)
    failed = await rows.task("failed", host_id=b1, failure_class="compile")
    canceled = await rows.task("canceled")
    completed = await rows.task("completed", host_id=b2)
    blocked = await rows.task("blocked", build_id=build, blocked_reason="person")
    moved = await rows.task("completed", build_id=build, architecture="arm64", host_id=b2, attempt=2)
    await rows.attempt(moved, 1, b1, outcome="freed")
    everything = [moved, blocked, completed, canceled, failed, running, free]
    assert await ids_of_all_pages(client, "tasks") == everything
    for state, expected in {
        "free": [free], "running": [running], "failed": [failed], "canceled": [canceled], "blocked": [blocked],
        "completed": [moved, completed], "assigned": [],
    }.items():  # fmt: skip
        assert await ids_of_all_pages(client, "tasks", state=state) == expected, state
    assert await ids_of_all_pages(client, "tasks", build_id=build) == [moved, blocked]
    assert await ids_of_all_pages(client, "tasks", build_id=build, state="completed") == [moved]
    assert await ids_of_all_pages(client, "tasks", build_id=build, host="b2") == [moved]
    assert await ids_of_all_pages(client, "tasks", host="b1") == [failed, running]
    assert await ids_of_all_pages(client, "tasks", host="b2") == [moved, completed]
    assert await ids_of_all_pages(client, "tasks", host="b1", state="running") == [running]
    assert await ids_of_all_pages(client, "tasks", host="b1", state="failed") == [failed]
    assert await ids_of_all_pages(client, "tasks", host="none") == []


async def test_a_task_shows_its_demand_and_all_its_attempts(client, rows):
    b1, b2 = await rows.host("b1"), await rows.host("b2")
    task = await rows.task("running", host_id=b2, attempt=2, demand={"required_tags": ["fast"], "cpu": 3})
    await rows.attempt(task, 1, b1, outcome="freed")
    shown = await get(client, f"tasks/{task}")
    assert (shown["cpu"], shown["required_tags"], shown["host"]) == (3, ["fast"], "b2")
    assert [(one["attempt"], one["host"], one["outcome"]) for one in shown["attempts"]] == [
        (1, "b1", "freed"),
        (2, "b2", None),
    ]
    assert shown["lease_until"].endswith(("Z", "+00:00"))


async def test_artifacts_come_by_build_and_task(client, rows):
    build = await rows.build(await rows.target())
    one = await rows.task("completed", build_id=build, host_id=await rows.host())
    two = await rows.task("free", build_id=build, architecture="arm64")
    artifacts = [await rows.artifact(one, build, f"a{number}.deb") for number in range(3)]
    other = await rows.artifact(two, build, "other.deb")
    assert await ids_of_all_pages(client, "artifacts") == [other, *reversed(artifacts)]
    assert await ids_of_all_pages(client, "artifacts", build_id=build) == [other, *reversed(artifacts)]
    assert await ids_of_all_pages(client, "artifacts", task_id=one) == [*reversed(artifacts)]
    assert await ids_of_all_pages(client, "artifacts", build_id=build, task_id=two) == [other]


async def test_hosts_show_what_the_tasks_on_them_take(client, rows):
    busy, leaving = await rows.host("b1"), await rows.host("b2", leaving=True)
    await rows.host("b3", state="disabled", online=False)
    demand = {"cpu": 2, "memory_bytes": 1 << 30, "disk_bytes": 5}
    tasks = [await rows.task("running", host_id=busy, demand=demand) for _ in range(2)]
    await rows.task("completed", host_id=busy, demand=demand)
    await rows.task("completed", host_id=leaving)
    answer = await get(client, "hosts")
    shown = {host["name"]: host for host in answer["items"]}
    assert (shown["b1"]["used_cpu"], shown["b1"]["used_memory_bytes"], shown["b1"]["used_disk_bytes"]) == (
        4,
        2 << 30,
        10,
    )
    assert shown["b1"]["running_tasks"] == tasks
    assert (shown["b2"]["state"], shown["b2"]["running_tasks"]) == ("draining", [])
    assert await get(client, "hosts/b3") == shown["b3"]
    assert [host["name"] for host in (await get(client, "hosts", state="draining"))["items"]] == ["b2"]
    assert await ids_of_all_pages(client, "hosts") == [host["id"] for host in answer["items"]]


async def add_package(rows, archive_id, package, version, generation, size_bytes=10):
    binary = await rows.database.fetchval(
        "INSERT INTO binary_package (package, version, version_key, architecture, source, control, file_name, sha256,"
        " size_bytes) VALUES ($1, $2, '', 'amd64', $1, '', 'f', $3, $4) RETURNING id",
        package,
        version,
        await rows.blob(f"{package}{version}".encode()),
        size_bytes,
    )
    await rows.database.execute(
        "INSERT INTO archive_binary (archive_id, package, version, architecture, binary_package_id, generation)"
        " VALUES ($1, $2, $3, 'amd64', $4, $5)",
        archive_id,
        package,
        version,
        binary,
        generation,
    )


async def test_an_archive_shows_what_is_published_and_nothing_that_is_not_yet(client, rows):
    await rows.target()
    archive_id = await rows.database.fetchval(
        "UPDATE archive SET wanted_generation = 3, published_generation = 2, published_at = now() RETURNING id"
    )
    for package, version, generation in (("hello", "1", 1), ("hello", "2", 2), ("zlib", "1", 2), ("soon", "1", 3)):
        await add_package(rows, archive_id, package, version, generation)
    for name, generation in (("20260101T000000Z", 1), ("20260102T000000Z", 2)):
        await rows.database.execute("INSERT INTO snapshot VALUES ($1, $2, $3, 1)", archive_id, name, generation)
    shown = await get(client, "archives/bookworm")
    assert (shown["packages"], shown["size_bytes"], shown["generation"]) == (3, 30, 2)
    assert shown["sources_url"] == "http://hub.test/archives/bookworm/bookworm.sources"
    assert shown["key_fingerprint"] == "F" * 40
    first = await get(client, "archives/bookworm/packages", limit=2)
    assert [(one["package"], one["version"]) for one in first["items"]] == [("hello", "1"), ("hello", "2")]
    second = await get(client, "archives/bookworm/packages", limit=2, cursor=first["next"])
    assert [(one["package"], one["version"]) for one in second["items"]] == [("zlib", "1")]
    newest = await get(client, "archives/bookworm/snapshots", limit=1)
    assert newest["items"][0]["url"] == "http://hub.test/archives/bookworm/snapshots/20260102T000000Z"
    older = await get(client, "archives/bookworm/snapshots", limit=1, cursor=newest["next"])
    assert (older["items"][0]["generation"], older["next"]) == (1, None)
    await rows.database.execute("UPDATE archive SET published_generation = 3")
    assert (await get(client, "archives/bookworm"))["packages"] == 4
    assert [archive["target"] for archive in (await get(client, "archives"))["items"]] == ["bookworm"]
