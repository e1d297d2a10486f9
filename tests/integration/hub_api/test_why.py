import pytest

GIB = 1 << 30


async def why(client, task_id):
    response = await client.get(f"/api/v1/tasks/{task_id}/why")
    assert response.status == 200, await response.text()
    return await response.json()


def verdicts(answer):
    return {one["host"]: one["obstacle"] for one in answer["hosts"]}


async def test_with_no_host_at_all_it_says_so(client, rows):
    answer = await why(client, await rows.task())
    assert answer["summary"] == "no host is registered"
    assert (answer["state"], answer["hosts_that_would_do"]) == ("free", 0)


async def test_an_architecture_that_no_host_has_is_named(client, rows):
    await rows.host("b1")
    await rows.host("b2", state="disabled")
    answer = await why(client, await rows.task(demand={"architecture": "arm64"}))
    assert answer["summary"] == "no host builds for the architecture arm64"
    assert "arm64" in answer["hint"]
    assert verdicts(answer) == {"b1": "architecture", "b2": "state"}
    assert answer["hosts"][0]["detail"] == "builds for amd64, not for arm64"


async def test_a_tag_that_no_host_has_is_named(client, rows):
    await rows.host("b1", tags=["slow"])
    await rows.host("b2", architectures=["arm64"], tags=["fast"])
    answer = await why(client, await rows.task(demand={"required_tags": ["fast", "slow"]}))
    assert answer["summary"] == "no host that builds for amd64 has the tag fast"
    assert verdicts(answer) == {"b1": "tags", "b2": "architecture"}
    assert answer["hosts"][0]["detail"] == "lacks the tag fast"


async def test_tags_that_no_host_has_together_are_named(client, rows):
    await rows.host("b1", tags=["slow"])
    await rows.host("b2", tags=["fast"])
    answer = await why(client, await rows.task(demand={"required_tags": ["fast", "slow"]}))
    assert answer["summary"] == "no host that builds for amd64 has all the tags fast, slow"


async def test_hosts_that_are_too_small_are_told_by_how_much(client, rows):
    await rows.host("b1", cpu=2, memory_bytes=4 * GIB)
    await rows.host("b2", cpu=4, memory_bytes=8 * GIB)
    answer = await why(client, await rows.task(demand={"cpu": 3, "memory_bytes": 16 * GIB}))
    assert verdicts(answer) == {"b1": "too-small", "b2": "too-small"}
    assert answer["hosts"][0]["detail"] == (
        "is too small: has 2 cpu of the 3 needed, has 4 GiB memory of the 16 GiB needed"
    )
    assert answer["summary"].endswith("is too small; b2: has 8 GiB memory of the 16 GiB needed")


async def test_a_busy_host_is_told_with_what_is_short_and_which_tasks_hold_it(client, rows):
    host = await rows.host("b1", cpu=4)
    holding = [await rows.task("running", host_id=host, demand={"cpu": 2}) for _ in range(2)]
    answer = await why(client, await rows.task(demand={"cpu": 1}))
    assert answer["hosts"][0]["obstacle"] == "busy"
    assert answer["hosts"][0]["detail"] == (
        f"is busy: has free 0 cpu of the 1 needed; held by 2 tasks ({holding[0]}, {holding[1]})"
    )
    assert answer["hosts_that_would_do"] == 1
    assert answer["summary"].startswith("1 host would do and all are busy")
    assert str(holding[0]) in answer["hint"]


async def test_a_host_that_is_switched_off_is_said_to_be_the_one_to_enable(client, rows):
    await rows.host("b1", state="disabled")
    await rows.host("b2", online=False)
    answer = await why(client, await rows.task())
    assert answer["summary"] == "no host that would do is available: b1 is disabled, b2 is lost"
    assert answer["hint"] == "enable it: `deborch host enable b1`"
    assert verdicts(answer) == {"b1": "state", "b2": "lost"}
    assert answer["hosts"][1]["detail"].startswith("has not been heard since 20")


async def test_a_lost_host_alone_is_to_be_started_again(client, rows):
    await rows.host("b1", online=False)
    assert "start the builder on b1 again" in (await why(client, await rows.task()))["hint"]


async def test_a_task_that_could_start_says_where_and_how_many_go_first(client, rows):
    await rows.host("b1")
    requirement = await rows.requirement()
    other = await rows.requirement(cpu=2)
    await rows.task(requirement_id=requirement)
    await rows.task(requirement_id=requirement, priority=5)
    await rows.task(requirement_id=requirement, priority=-5)
    await rows.task(requirement_id=other, priority=5)
    task = await rows.task(requirement_id=requirement)
    await rows.task(requirement_id=requirement)
    answer = await why(client, task)
    assert answer["tasks_ahead"] == 2
    assert answer["summary"] == "1 host could take it now, behind 2 tasks that ask for the same: b1"
    assert verdicts(answer) == {"b1": "none"}


async def test_a_task_that_waits_for_tasks_names_those_that_are_not_done(client, rows):
    build = await rows.build(await rows.target())
    task = await rows.task("blocked", build_id=build, blocked_reason="tasks")
    done, running = await rows.task("completed"), await rows.task("free")
    for other in (done, running):
        await rows.database.execute("INSERT INTO task_dependency VALUES ($1, $2)", task, other)
    answer = await why(client, task)
    assert (answer["blocked_reason"], answer["waits_for_tasks"]) == ("tasks", [running])
    assert answer["summary"] == f"it waits for 1 task: {running}"


async def test_a_task_that_waits_in_vain_says_what_to_give_back(client, rows):
    build = await rows.build(await rows.target())
    task = await rows.task("blocked", build_id=build, blocked_reason="tasks")
    failed = await rows.task("failed")
    await rows.database.execute("INSERT INTO task_dependency VALUES ($1, $2)", task, failed)
    assert f"deborch build giveback {build}" in (await why(client, task))["hint"]


@pytest.mark.parametrize(("state", "hint"), [("building", "deborch build show"), ("failed", "deborch build giveback")])
async def test_a_task_that_waits_for_an_archive_names_the_builds(client, rows, state, hint):
    target = await rows.target()
    before, done = await rows.build(target, "a", state=state), await rows.build(target, "b", state="completed")
    build = await rows.build(target)
    for other in (before, done):
        await rows.database.execute("INSERT INTO build_dependency VALUES ($1, $2)", build, other)
    task = await rows.task("blocked", build_id=build, blocked_reason="archive")
    answer = await why(client, task)
    assert answer["waits_for_builds"] == [before]
    assert hint in answer["hint"]


async def test_missing_build_dependencies_are_listed(client, rows):
    build = await rows.build(await rows.target())
    missing = ["libfoo-dev (>= 2)", "bar"]
    task = await rows.task("blocked", build_id=build, blocked_reason="build-dependencies", missing=missing)
    answer = await why(client, task)
    assert answer["missing"] == missing
    assert answer["summary"] == "build dependencies cannot be satisfied: libfoo-dev (>= 2), bar"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("assigned", "b1 has been given attempt 1 and has not begun yet"),
        ("running", "it is running on b1, attempt 1"),
        ("completed", "it completed on b1 in attempt 1"),
        ("failed", "it failed in attempt 1 (compile: cc said no)"),
        ("canceled", "it was canceled: cc said no"),
    ],
)
async def test_a_task_in_any_other_state_says_what_it_does_or_did(client, rows, state, said):
    build = await rows.build(await rows.target())
    host = await rows.host("b1")
    task = await rows.task(state, build_id=build, host_id=host, failure_class="compile", message="cc said no")
    answer = await why(client, task)
    assert (answer["state"], answer["summary"]) == (state, said)
    assert answer["hint"]
    assert answer["hosts"] == []
