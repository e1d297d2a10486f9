"""Why a task is not running: what it waits for, or what each host has against it, and what an operator can do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deborch_hub.domain.matching import Demand, HostSlot, Obstacle
from deborch_hub.handlers.why_texts import Shortage, bytes_text, plural, some_of
from deborch_hub.store.reads.builds import builds_waited_for
from deborch_hub.store.reads.hosts import list_hosts
from deborch_hub.store.reads.tasks import get_demand, get_task, tasks_ahead, unfinished_needs
from deborch_shared.contract.builds import HostVerdict, Task, Why
from deborch_shared.contract.hosts import Host
from deborch_shared.contract.states import BlockedReason, BuildState, HostState, TaskState
from deborch_shared.db import Database
from deborch_shared.ids import BuildId, TaskId

_WOULD_DO = frozenset({Obstacle.NONE, Obstacle.BUSY})


async def explain(database: Database, task_id: TaskId) -> Why:
    """The answer for one task, whatever its state.

    Raises:
        DeborchError: NOT_FOUND.
    """
    task = await get_task(database, task_id)
    match task.state:
        case TaskState.BLOCKED:
            return await _why_blocked(database, task)
        case TaskState.FREE:
            return await _why_free(database, task)
        case TaskState.ASSIGNED | TaskState.RUNNING:
            return _why_on_a_host(task)
        case _:
            return _why_over(task)


def _why_over(task: Task) -> Why:
    match task.state:
        case TaskState.COMPLETED:
            summary, hint = f"it completed on {task.host} in attempt {task.attempt}", "nothing is left to do"
        case TaskState.CANCELED:
            summary = "it was canceled" + (f": {task.message}" if task.message else "")
            hint = _give_back(task)
        case _:
            reason = ": ".join(part for part in (task.failure_class or "", task.message) if part)
            summary = f"it failed in attempt {task.attempt}" + (f" ({reason})" if reason else "")
            hint = f"read the log, mend the cause, then {_give_back(task)}"
    return Why(task_id=task.id, state=task.state, summary=summary, hint=hint)


def _give_back(task: Task) -> str:
    if task.build_id is None:
        return "start another one"
    return f"give the build back: `deborch build giveback {task.build_id}`"


def _why_on_a_host(task: Task) -> Why:
    if task.state is TaskState.RUNNING:
        stage = f", in stage {task.stage}" if task.stage else ""
        summary, hint = f"it is running on {task.host}, attempt {task.attempt}{stage}", "follow its log"
    else:
        summary = f"{task.host} has been given attempt {task.attempt} and has not begun yet"
        hint = (
            f"if it does not begin, another host gets it when the lease ends; look at `deborch host show {task.host}`"
        )
    return Why(task_id=task.id, state=task.state, summary=summary, hint=hint)


# --- blocked ---------------------------------------------------------------------------------------------------------


async def _why_blocked(database: Database, task: Task) -> Why:
    needs = await unfinished_needs(database, TaskId(task.id))
    builds = await builds_waited_for(database, BuildId(task.build_id)) if task.build_id is not None else {}
    summary, hint = _blocked_texts(task, needs, builds)
    return Why(
        task_id=task.id,
        state=task.state,
        summary=summary,
        hint=hint,
        blocked_reason=task.blocked_reason,
        waits_for_tasks=sorted(needs),
        waits_for_builds=sorted(builds),
        missing=list(task.missing),
    )


def _blocked_texts(task: Task, needs: dict[int, TaskState], builds: dict[int, BuildState]) -> tuple[str, str]:
    match task.blocked_reason:
        case BlockedReason.TASKS:
            lost = [number for number, state in needs.items() if state.is_terminal]
            summary = f"it waits for {plural(len(needs), 'task')}: {some_of(needs)}"
            if lost:
                return summary, f"{some_of(lost)} will not complete: {_give_back(task)}, or cancel this"
            return summary, f"see what the first of them does: `deborch task why {min(needs, default=task.id)}`"
        case BlockedReason.ARCHIVE:
            ended = [number for number, state in builds.items() if state.is_terminal]
            summary = f"it waits until {plural(len(builds), 'build')} is published: {some_of(builds)}"
            if ended:
                return summary, f"give it back: `deborch build giveback {ended[0]}`, or cancel this build"
            return summary, f"see how it goes: `deborch build show {min(builds, default=0)}`"
        case BlockedReason.BUILD_DEPENDENCIES:
            return (
                f"build dependencies cannot be satisfied: {some_of(task.missing)}",
                "build what is missing into the same target, each publication tries this again; or mend debian/control",
            )
        case _:
            return "it is held until a person lets it go", _give_back(task)


# --- free ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One host with what stands in the way, and what would if it were enabled and online."""

    host: Host
    slot: HostSlot
    obstacle: Obstacle
    if_available: Obstacle


async def _why_free(database: Database, task: Task) -> Why:
    demand, requirement_id = await get_demand(database, TaskId(task.id))
    ahead = await tasks_ahead(database, TaskId(task.id), requirement_id, task.priority)
    candidates = [_candidate(host, demand) for host in await list_hosts(database)]
    summary, hint = _free_texts(candidates, demand, ahead)
    return Why(
        task_id=task.id,
        state=task.state,
        summary=summary,
        hint=hint,
        tasks_ahead=ahead,
        hosts_that_would_do=sum(candidate.obstacle in _WOULD_DO for candidate in candidates),
        hosts=[
            HostVerdict(host=one.host.name, obstacle=one.obstacle.value, detail=_verdict(one, demand))
            for one in candidates
        ],
    )


def _candidate(host: Host, demand: Demand) -> _Candidate:
    slot = HostSlot(
        host_id=host.id,
        name=host.name,
        state=host.state,
        online=host.online,
        architectures=frozenset(host.architectures),
        tags=frozenset(host.tags),
        cpu=host.cpu,
        memory_bytes=host.memory_bytes,
        disk_bytes=host.disk_bytes,
        unready=host.obstacle,
        used_cpu=host.used_cpu,
        used_memory_bytes=host.used_memory_bytes,
        used_disk_bytes=host.used_disk_bytes,
        tasks=set(host.running_tasks),
    )
    available = replace(slot, state=HostState.ENABLED, online=True, unready="")
    return _Candidate(host, slot, slot.obstacle(demand), available.obstacle(demand))


def _verdict(candidate: _Candidate, demand: Demand) -> str:
    host = candidate.host
    match candidate.obstacle:
        case Obstacle.STATE:
            return f"is {host.state}"
        case Obstacle.LOST:
            last = host.last_heartbeat_at
            return f"has not been heard since {last:%Y-%m-%d %H:%M:%S} UTC" if last else "has never been heard"
        case Obstacle.UNREADY:
            return f"cannot build now: {host.obstacle}"
        case Obstacle.ARCHITECTURE:
            return f"builds for {', '.join(host.architectures)}, not for {demand.architecture}"
        case Obstacle.TAGS:
            return f"lacks the tag {', '.join(sorted(demand.required_tags - frozenset(host.tags)))}"
        case Obstacle.TOO_SMALL:
            return f"is too small: {Shortage.total(candidate.slot, demand)}"
        case Obstacle.BUSY:
            return f"is busy: {Shortage.free(candidate.slot, demand)}; held by {_holders(host)}"
        case Obstacle.NONE:
            return "could take it now"


def _free_texts(candidates: Sequence[_Candidate], demand: Demand, ahead: int) -> tuple[str, str]:
    if not candidates:
        return "no host is registered", "enrol a builder and start it"
    ready = [one.host.name for one in candidates if one.obstacle is Obstacle.NONE]
    busy = [one for one in candidates if one.obstacle is Obstacle.BUSY]
    behind = f", behind {plural(ahead, 'task')} that ask for the same" if ahead else ""
    if ready:
        hint = "it starts within moments; if it does not, see that a hub replica schedules: `/readyz`"
        return f"{plural(len(ready), 'host')} could take it now{behind}: {some_of(ready)}", hint
    if busy:
        held = sorted({task for one in busy for task in one.host.running_tasks})
        summary = (
            f"{plural(len(busy), 'host')} would do and all are busy{behind}: {some_of([b.host.name for b in busy])}"
        )
        return summary, f"wait for {plural(len(held), 'task')} to end ({some_of(held)}), or add a host"
    away = [one for one in candidates if one.if_available in _WOULD_DO]
    return _unavailable_texts(away) if away else _impossible_texts(candidates, demand)


def _unavailable_texts(away: Sequence[_Candidate]) -> tuple[str, str]:
    """Hosts would do if they were there."""
    switched_off = [one.host for one in away if one.obstacle is Obstacle.STATE]
    unready = [one.host for one in away if one.obstacle is Obstacle.UNREADY]
    facts = [f"{one.host.name} {_how_away(one)}" for one in away]
    summary = f"no host that would do is available: {some_of(facts)}"
    if switched_off:
        return summary, f"enable it: `deborch host enable {switched_off[0].name}`"
    if unready:
        return summary, f"mend that on {unready[0].name}; it takes builds again by itself"
    return summary, f"start the builder on {away[0].host.name} again, and see its log"


def _how_away(candidate: _Candidate) -> str:
    match candidate.obstacle:
        case Obstacle.STATE:
            return f"is {candidate.host.state}"
        case Obstacle.UNREADY:
            return f"cannot build now ({candidate.host.obstacle})"
        case _:
            return "is lost"


def _impossible_texts(candidates: Sequence[_Candidate], demand: Demand) -> tuple[str, str]:
    """No host would do even if it were free: which demand is the one that none meets."""
    with_architecture = [
        one for one in candidates if not demand.architecture or demand.architecture in one.slot.architectures
    ]
    if not with_architecture:
        summary = f"no host builds for the architecture {demand.architecture}"
        return summary, f"add a builder for {demand.architecture}, or build for other architectures"
    with_tags = [one for one in with_architecture if demand.required_tags <= one.slot.tags]
    where = f" that builds for {demand.architecture}" if demand.architecture else ""
    if not with_tags:
        offered = frozenset().union(*(one.slot.tags for one in with_architecture))
        absent = sorted(demand.required_tags - offered)
        what = f"the tag {', '.join(absent)}" if absent else f"all the tags {', '.join(sorted(demand.required_tags))}"
        return f"no host{where} has {what}", "give the tag to a builder (DEBORCH_BUILDER_TAGS), or require it no more"
    largest = max(with_tags, key=lambda one: (one.slot.memory_bytes, one.slot.disk_bytes, one.slot.cpu))
    summary = f"every host{where} is too small; {largest.host.name}: {Shortage.total(largest.slot, demand)}"
    return summary, f"add a host with {_size(demand)}, or ask for less"


def _size(demand: Demand) -> str:
    return f"{demand.cpu} cpu, {bytes_text(demand.memory_bytes)} memory, {bytes_text(demand.disk_bytes)} disk"


def _holders(host: Host) -> str:
    return f"{plural(len(host.running_tasks), 'task')} ({some_of(host.running_tasks)})"
