"""Composes from the call to the end, with composers that come, go and report late."""

import asyncio

import pytest
from tests.integration.hub.composers import asked_for, commands_of, start_composer, stored, until, wanted
from tests.integration.hub.harness import ADMIN

from deborch_hub.handlers.port import Idempotency
from deborch_hub.store.reads.composes import get_compose, get_output
from deborch_shared.contract.composes import ComposeCreate, TreeFileRef
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.composes import (
    ComposeDone,
    ComposeOutput,
    ComposePhaseDone,
    ComposePhaseStarted,
    ComposeReleased,
    ComposeStarted,
    PlannedPhase,
    RunningPhase,
)
from deborch_shared.security import Principal, Role


async def test_a_compose_goes_to_one_composer_and_shows_its_phases_and_files(start_replica, stack, amqp_url):
    hub = await start_replica()
    composer = await start_composer(stack, amqp_url, hub)
    compose_id = await asked_for(hub, variants=("minimal",))
    request = await composer.request()
    assert (request.compose_id, request.order["variants"], request.owner) == (compose_id, ["minimal"], "key:admin")
    grant = await composer.claim(hub, compose_id)
    assert (grant.attempt, grant.order.treefile, grant.reference) == (1, "minimal.yaml", f"hub-{compose_id}")
    sha256, size_bytes = await stored(hub, b"an image")
    await composer.say(
        ComposeStarted(
            **composer.of(grant), name="minimal-13.d.0",
            phases=(PlannedPhase(phase="init"), PlannedPhase(phase="gather", target="minimal.amd64")),
        ),
        ComposePhaseStarted(**composer.of(grant), phase="init"),
        ComposePhaseDone(**composer.of(grant), phase="init", state="done", seconds=0.5),
        ComposePhaseStarted(**composer.of(grant), phase="gather", target="minimal.amd64"),
    )  # fmt: skip
    step = RunningPhase(phase="gather", target="minimal.amd64", step="download", done=3, total=9)
    for _ in range(200):
        await composer.beat(grant, step)
        shown = await get_compose(hub.database, compose_id)
        if [phase.step for phase in shown.phases] == ["", "download"]:
            break
        await asyncio.sleep(0.05)
    assert [(phase.phase, phase.target, phase.state) for phase in shown.phases] == [
        ("init", "", "done"), ("gather", "minimal.amd64", "running"),
    ]  # fmt: skip
    assert (shown.engine_name, shown.composer, shown.phases[1].total) == ("minimal-13.d.0", "c1", 9)
    output = ComposeOutput(path="minimal/image.oci.tar", kind="ociarchive", sha256=sha256, size_bytes=size_bytes)
    await composer.finish(grant, outputs=(output,))
    await until(hub, compose_id, "finished")
    assert (await get_output(hub.database, compose_id, "minimal/image.oci.tar")).sha256 == sha256
    types = {
        row["type"] for row in await hub.database.fetch("SELECT type FROM event WHERE compose_id = $1", compose_id)
    }
    assert types >= {
        "compose.requested",
        "compose.running",
        "compose.phase.changed",
        "compose.progress",
        "compose.finished",
    }


async def test_what_a_phase_does_before_it_has_begun_is_shown(start_replica, stack, amqp_url):
    hub = await start_replica()
    composer = await start_composer(stack, amqp_url, hub)
    grant = await composer.claim(hub, await asked_for(hub))
    await composer.say(ComposeStarted(**composer.of(grant), name="m", phases=(PlannedPhase(phase="init"),)))
    async with asyncio.timeout(10):
        while True:
            await composer.beat(grant, RunningPhase(phase="init", step="making the tools"))
            (phase, *_) = (await get_compose(hub.database, grant.compose_id)).phases or [None]
            if phase is not None and phase.step:
                break
            await asyncio.sleep(0.05)
    assert (phase.state, phase.step, phase.started_at is not None) == ("running", "making the tools", True)


async def test_of_two_composers_that_claim_at_the_same_time_one_gets_it(start_replica, stack, amqp_url):
    hub = await start_replica()
    composers = [await start_composer(stack, amqp_url, hub, name) for name in ("c1", "c2")]
    compose_id = await asked_for(hub)
    outcomes = await asyncio.gather(
        *(composer.claim(hub, compose_id) for composer in composers), return_exceptions=True
    )
    (grant,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, DeborchError)]
    assert (grant.attempt, refused.code) == (1, ErrorCode.CONFLICT)


async def test_a_composer_that_falls_silent_loses_the_compose_and_its_late_report_changes_nothing(
    start_replica, stack, amqp_url
):
    hub = await start_replica(lease_s=1.5)
    silent = await start_composer(stack, amqp_url, hub, "silent")
    compose_id = await asked_for(hub)
    lost = await silent.claim(hub, compose_id)
    await until(hub, compose_id, "requested")
    other = await start_composer(stack, amqp_url, hub, "other")
    grant = await other.claim(hub, compose_id)
    assert (grant.attempt, grant.reference) == (2, lost.reference)
    await silent.beat(lost)
    async with asyncio.timeout(10):
        cancel = await silent.cancels.get()
    assert (cancel.compose_id, cancel.attempt, cancel.lost) == (compose_id, 1, True)
    await silent.finish(lost)
    await silent.say(ComposeDone(**{**silent.of(lost), "attempt": 2}, outcome="finished"))
    await other.beat(grant)
    await other.say(ComposePhaseDone(**other.of(grant), phase="init", state="done"))
    await other.finish(grant, outcome="failed", failure_class="resolve", message="there is no package nosuch")
    row = await until(hub, compose_id, "failed", "finished")
    assert (row["state"], row["failure_class"], row["attempt"]) == ("failed", "resolve", 2)


async def test_heartbeats_keep_a_compose_longer_than_its_lease(start_replica, stack, amqp_url):
    hub = await start_replica(lease_s=1.5)
    composer = await start_composer(stack, amqp_url, hub)
    grant = await composer.claim(hub, await asked_for(hub))
    for _ in range(8):
        await composer.beat(grant)
        await asyncio.sleep(0.4)
    row = await until(hub, grant.compose_id, "running", within_s=0.5)
    assert row["attempt"] == 1


async def test_what_costs_composer_after_composer_its_life_is_given_to_no_other(start_replica, stack, amqp_url):
    hub = await start_replica(lease_s=30)
    composer = await start_composer(stack, amqp_url, hub)
    compose_id = await asked_for(hub)
    for _ in range(5):
        await composer.claim(hub, compose_id)
        await hub.database.execute("UPDATE compose SET lease_until = now() - interval '1 second'")
        row = await until(hub, compose_id, "requested", "failed")
    assert (row["state"], row["failure_class"]) == ("failed", "host-lost")
    await commands_of(hub).resume_compose(compose_id, ADMIN)
    assert (await composer.claim(hub, compose_id)).attempt == 6


async def test_a_canceled_compose_stops_at_its_composer_and_can_be_resumed(start_replica, stack, amqp_url):
    hub = await start_replica()
    composer = await start_composer(stack, amqp_url, hub)
    compose_id = await asked_for(hub)
    await composer.request()
    grant = await composer.claim(hub, compose_id)
    await commands_of(hub).cancel_compose(compose_id, ADMIN)
    async with asyncio.timeout(10):
        cancel = await composer.cancels.get()
    assert (cancel.attempt, cancel.lost) == (1, False)
    await composer.finish(grant)
    with pytest.raises(DeborchError) as refused:
        await commands_of(hub).cancel_compose(compose_id, ADMIN)
    assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION
    assert (await until(hub, compose_id, "canceled"))["message"] == "canceled by key:admin"
    await commands_of(hub).resume_compose(compose_id, ADMIN)
    assert (await composer.request()).compose_id == compose_id
    assert (await composer.claim(hub, compose_id)).attempt == 2


async def test_a_compose_that_is_given_back_waits_for_another_composer(start_replica, stack, amqp_url):
    hub = await start_replica()
    composer = await start_composer(stack, amqp_url, hub)
    compose_id = await asked_for(hub)
    await composer.request()
    grant = await composer.claim(hub, compose_id)
    await composer.say(ComposeReleased(**composer.of(grant), reason="it stops"))
    assert (await composer.request()).attempt == 1
    assert (await until(hub, compose_id, "requested"))["message"] == "it stops"


@pytest.mark.parametrize("path", ["../x", "a/./b"])
async def test_outputs_by_unsafe_paths_fail_the_compose(start_replica, stack, amqp_url, path):
    hub = await start_replica()
    composer = await start_composer(stack, amqp_url, hub)
    grant = await composer.claim(hub, await asked_for(hub))
    sha256, size_bytes = await stored(hub, b"x")
    await composer.finish(grant, outputs=(ComposeOutput(path=path, kind="raw", sha256=sha256, size_bytes=size_bytes),))
    assert "unsafe" in (await until(hub, grant.compose_id, "failed"))["message"]


async def test_outputs_that_were_not_uploaded_fail_the_compose(start_replica, stack, amqp_url):
    hub = await start_replica()
    composer = await start_composer(stack, amqp_url, hub)
    grant = await composer.claim(hub, await asked_for(hub))
    await composer.finish(grant, outputs=(ComposeOutput(path="x", kind="raw", sha256="00" * 32, size_bytes=1),))
    assert "not uploaded" in (await until(hub, grant.compose_id, "failed"))["message"]


async def test_a_treefile_whose_files_are_not_uploaded_is_refused_by_name(start_replica):
    hub = await start_replica()
    command = ComposeCreate(
        name="x", treefile="x.yaml", files=(TreeFileRef(path="x.yaml", sha256="00" * 32, size_bytes=1),)
    )
    with pytest.raises(DeborchError, match=r"x\.yaml") as refused:
        await commands_of(hub).create_compose(command, ADMIN, None)
    assert refused.value.code is ErrorCode.NOT_FOUND


async def test_the_same_request_with_one_key_makes_one_compose(start_replica):
    hub = await start_replica()
    command, once = await wanted(hub), Idempotency("k", b"r" * 32)
    first = await commands_of(hub).create_compose(command, ADMIN, once)
    assert await commands_of(hub).create_compose(command, ADMIN, once) == first
    assert await hub.database.fetchval("SELECT count(*) FROM compose") == 1


async def test_a_composer_claims_under_no_name_but_its_own(start_replica):
    hub = await start_replica()
    compose_id = await asked_for(hub)
    other = Principal("host:c2", frozenset({Role.COMPOSER}), host="c2")
    with pytest.raises(DeborchError) as refused:
        await commands_of(hub).claim_compose(compose_id, "c1", other)
    assert refused.value.code is ErrorCode.FORBIDDEN
