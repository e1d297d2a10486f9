"""What composers report, guarded by attempt, composer and state, so that a late report changes nothing."""

import logging
from collections.abc import Sequence

import asyncpg
from prometheus_client import Counter

from deborch_hub.domain.composes import MOST_ATTEMPTS, MOVE_AFTER, ComposeMove
from deborch_hub.handlers.composes import announce, locked_compose, move_compose
from deborch_hub.handlers.context import Context
from deborch_hub.handlers.unit_of_work import Work
from deborch_hub.store.queries import SQL
from deborch_shared.bus import composer_key
from deborch_shared.contract.states import ComposeState
from deborch_shared.events import Event
from deborch_shared.events.composes import (
    CancelCompose,
    ComposeDone,
    ComposeFailed,
    ComposeFinished,
    ComposePhaseChanged,
    ComposePhaseDone,
    ComposePhaseStarted,
    ComposeProgress,
    ComposeReleased,
    ComposeReport,
    ComposerHeartbeat,
    ComposeStarted,
    RunningCompose,
)

_log = logging.getLogger(__name__)
_stale = Counter("deborch_hub_stale_compose_reports_total", "Reports of composes that their composer had lost")
PROGRESS_EVERY_S = 3.0
"""Between two compose.progress of one phase that stays in one step."""


async def apply_compose_reports(context: Context, events: Sequence[Event]) -> None:
    """Apply reports in order, each compose's by itself."""
    for event in events:
        if isinstance(event.data, ComposeReport):
            await _apply(context, event.data)


async def _apply(context: Context, report: ComposeReport) -> None:
    async with context.transactions.begin() as work:
        compose = await _owned(work, report)
        if compose is None:
            return
        match report:
            case ComposeStarted():
                await _started(work, report)
            case ComposePhaseStarted():
                await work.connection.execute(
                    SQL["start_compose_phase"], report.compose_id, report.phase, report.target
                )
                work.tell(_phase(report, report.phase, report.target, "running"))
            case ComposePhaseDone():
                await _phase_done(work, report)
            case ComposeDone():
                await _done(work, compose, report)
            case ComposeReleased():
                await release(work, compose, report.reason or "given back", counts=False)


async def _owned(work: Work, report: ComposeReport) -> asyncpg.Record | None:
    """The compose, locked, if the report is of its owner; else the report is stale: counted and dropped."""
    compose = await work.connection.fetchrow(SQL["lock_compose"], report.compose_id)
    if (
        compose is not None
        and compose["state"] == ComposeState.RUNNING.value
        and compose["attempt"] == report.attempt
        and compose["composer"] == report.composer
    ):
        return compose
    _stale.inc()
    _log.info("stale %s of compose %d attempt %d", report.TYPE, report.compose_id, report.attempt)
    return None


async def _started(work: Work, report: ComposeStarted) -> None:
    await work.connection.execute(SQL["forget_compose_phases"], report.compose_id)
    phases = {(planned.phase, planned.target): None for planned in report.phases}
    await work.connection.execute(
        SQL["plan_compose"],
        report.compose_id,
        list(range(1, len(phases) + 1)),
        [phase for phase, _ in phases],
        [target for _, target in phases],
    )
    await work.connection.execute(SQL["name_compose"], report.compose_id, report.name)
    for phase, target in phases:
        work.tell(_phase(report, phase, target, "waiting"))


async def _phase_done(work: Work, report: ComposePhaseDone) -> None:
    await work.connection.execute(
        SQL["end_compose_phase"],
        report.compose_id,
        report.phase,
        report.target,
        report.state,
        report.seconds,
        report.failable,
        report.message,
    )
    work.tell(_phase(report, report.phase, report.target, report.state, report.seconds, report.message))


def _phase(
    report: ComposeReport, phase: str, target: str, state: str, seconds: float = 0.0, message: str = ""
) -> ComposePhaseChanged:
    return ComposePhaseChanged(
        compose_id=report.compose_id,
        attempt=report.attempt,
        phase=phase,
        target=target,
        state=state,
        seconds=seconds,
        message=message,
    )


async def _done(work: Work, compose: asyncpg.Record, report: ComposeDone) -> None:
    """What it made is recorded with its end, or it has failed: an output whose blob is not here is none."""
    move, failure_class, message = MOVE_AFTER[report.outcome], report.failure_class or None, report.message
    digests = [bytes.fromhex(output.sha256) for output in report.outputs]
    if await work.connection.fetch(SQL["missing_blobs"], digests):
        move, failure_class = ComposeMove.FAIL, "internal"
        message = "the composer named outputs that it had not uploaded"
    elif not _paths_are_safe(report):
        move, failure_class, message = ComposeMove.FAIL, "internal", "the composer named outputs by unsafe paths"
    elif move is not ComposeMove.FAIL:
        await _keep_results(work, report, digests)
    if report.outcome == "canceled" and not message:
        message = "its composer canceled it"
    state = await move_compose(work, compose, move, failure_class=failure_class, message=message)
    await work.connection.execute(
        SQL["end_compose_phases"], report.compose_id, "canceled" if state is ComposeState.FAILED else "skipped"
    )
    if state is ComposeState.FAILED:
        work.tell(
            ComposeFailed(
                compose_id=report.compose_id,
                attempt=report.attempt,
                failure_class=failure_class or "",
                message=message,
            )
        )
    else:
        incomplete = state is ComposeState.FINISHED_INCOMPLETE
        work.tell(ComposeFinished(compose_id=report.compose_id, attempt=report.attempt, incomplete=incomplete))


def _paths_are_safe(report: ComposeDone) -> bool:
    return not any({".", ".."} & set(output.path.split("/")) for output in report.outputs)


async def _keep_results(work: Work, report: ComposeDone, digests: Sequence[bytes]) -> None:
    outputs, commits = report.outputs, report.commits
    await work.connection.execute(
        SQL["insert_compose_outputs"],
        report.compose_id,
        [output.path for output in outputs],
        [output.kind for output in outputs],
        [output.variant for output in outputs],
        [output.architecture for output in outputs],
        list(digests),
        [output.size_bytes for output in outputs],
    )
    await work.connection.execute(
        SQL["insert_compose_commits"],
        report.compose_id,
        [commit.ref for commit in commits],
        [commit.commit for commit in commits],
        [commit.variant for commit in commits],
        [commit.architecture for commit in commits],
        [commit.version for commit in commits],
    )
    for image in report.images:
        await work.connection.execute(
            SQL["insert_compose_image"], report.compose_id, image.image, image.digest, list(image.tags), image.variant
        )


async def release(work: Work, compose: asyncpg.Record, reason: str, *, counts: bool) -> None:
    """The compose has no owner any more: another composer may take it, unless it has cost too many (`counts`)."""
    tries = compose["attempt"] - compose["base_attempt"]
    if counts and tries >= MOST_ATTEMPTS:
        message = f"{reason}; {tries} composers have lost it, the next would be no better"
        await move_compose(work, compose, ComposeMove.FAIL, failure_class="host-lost", message=message)
        await work.connection.execute(SQL["end_compose_phases"], compose["id"], "canceled")
        work.tell(
            ComposeFailed(
                compose_id=compose["id"], attempt=compose["attempt"], failure_class="host-lost", message=message
            )
        )
        return
    await move_compose(work, compose, ComposeMove.RELEASE, message=reason)
    await work.connection.execute(SQL["end_compose_phases"], compose["id"], "waiting")
    announce(work, compose)


async def expire_compose_leases(context: Context) -> None:
    """Take composes from composers that were not heard for a lease's time."""
    for row in await context.database.fetch(SQL["expired_composes"]):
        async with context.transactions.begin() as work:
            if not await work.connection.fetchval(
                SQL["lease_holds"], context.leadership.epoch, context.leadership.holder
            ):
                return
            compose = await locked_compose(work, row["id"])
            if compose["state"] != ComposeState.RUNNING.value or compose["attempt"] != row["attempt"]:
                continue
            if await work.connection.fetchval(SQL["compose_lease_holds"], row["id"]):
                continue
            _log.warning("%s has lost compose %d attempt %d", compose["composer"], row["id"], row["attempt"])
            await release(work, compose, f"{compose['composer']} did not renew its lease", counts=True)


async def apply_composer_heartbeats(context: Context, events: Sequence[Event]) -> None:
    """Composers live; leases are renewed; who works on what is not its own any more is told to stop."""
    latest = {event.data.composer: event.data for event in events if isinstance(event.data, ComposerHeartbeat)}
    if not latest:
        return
    beats = [latest[name] for name in sorted(latest)]
    await context.database.execute(
        SQL["composer_heartbeat"], [beat.composer for beat in beats], [beat.draining for beat in beats]
    )
    running = [(beat.composer, compose) for beat in beats for compose in beat.running]
    if running:
        await _renew(context, sorted(running, key=lambda one: (one[1].compose_id, one[1].attempt, one[0])))


async def _renew(context: Context, running: Sequence[tuple[str, RunningCompose]]) -> None:
    columns = (
        [compose.compose_id for _, compose in running],
        [compose.attempt for _, compose in running],
        [composer for composer, _ in running],
    )
    await context.database.execute(SQL["extend_compose_leases"], *columns, context.lease_s)
    rows = await context.database.fetch(SQL["renew_compose_leases"], *columns)
    stale = {(row["composer"], row["id"], row["attempt"]) for row in rows if row["stale"]}
    steps = [
        (compose, phase)
        for composer, compose in running
        if (composer, compose.compose_id, compose.attempt) not in stale
        for phase in compose.phases
    ]
    told = await context.database.fetch(
        SQL["compose_steps"],
        [compose.compose_id for compose, _ in steps],
        [compose.attempt for compose, _ in steps],
        [phase.phase for _, phase in steps],
        [phase.target for _, phase in steps],
        [phase.step for _, phase in steps],
        [phase.done for _, phase in steps],
        [phase.total for _, phase in steps],
        PROGRESS_EVERY_S,
    )
    progress = [row for row in told if row["tell"]]
    if not stale and not progress:
        return
    async with context.transactions.begin() as work:
        for composer, compose_id, attempt in sorted(stale):
            work.command(composer_key(composer), CancelCompose(compose_id=compose_id, attempt=attempt, lost=True))
        for row in progress:
            work.tell(_progress(row))


def _progress(row: asyncpg.Record) -> ComposeProgress:
    return ComposeProgress(
        compose_id=row["id"],
        attempt=row["attempt"],
        phase=row["phase"],
        target=row["target"],
        step=row["step"],
        done=row["done"],
        total=row["total"],
    )
