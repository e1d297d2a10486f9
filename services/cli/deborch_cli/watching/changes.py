"""What changed between two looks at a build or a task, in one line for each change."""

from collections.abc import Sequence

from deborch_cli.output.humanise import duration, size
from deborch_shared.contract.builds import BuildDetail, TaskSummary
from deborch_shared.contract.states import BlockedReason, TaskKind, TaskState


def build_changes(before: BuildDetail | None, now: BuildDetail) -> list[str]:
    """Lines such as `task 32 hello 2.10-3 amd64: running on builder1`, the build's own change last."""
    lines = task_changes(before.tasks if before is not None else (), now.tasks)
    if before is None or before.state is not now.state:
        lines.append(f"build {now.id} {source_of(now)} for {now.target}: {now.state}{_reason(now.message)}")
    return lines


def task_changes(before: Sequence[TaskSummary], now: Sequence[TaskSummary]) -> list[str]:
    known = {task.id: _seen(task) for task in before}
    return [f"task {task.id} {name_of(task)}: {state_of(task)}" for task in now if known.get(task.id) != _seen(task)]


def source_of(build: BuildDetail) -> str:
    return f"{build.source} {build.version}" if build.version else build.source


def name_of(task: TaskSummary) -> str:
    if task.kind is TaskKind.FETCH_SOURCE:
        return f"fetch {task.label}".rstrip()
    return task.label or f"{task.kind} {task.architecture}".rstrip()


def state_of(task: TaskSummary) -> str:
    """`running on builder1 (build)`, `blocked (dep-wait)`, `failed (compile): ...`."""
    where = f" on {task.host}" if task.host and task.state in {TaskState.ASSIGNED, TaskState.RUNNING} else ""
    why = reason_of(task)
    again = f", attempt {task.attempt}" if task.attempt > 1 and where else ""
    return f"{task.state}{where}{again}{f' ({why})' if why else ''}{_reason(task.message)}"


def reason_of(task: TaskSummary) -> str:
    """Why it is blocked or has failed, or what it does, in a word; missing build dependencies are dep-wait."""
    match task.state:
        case TaskState.BLOCKED:
            waits = task.blocked_reason is BlockedReason.BUILD_DEPENDENCIES
            return "dep-wait" if waits else task.blocked_reason or ""
        case TaskState.FAILED:
            return task.failure_class or ""
        case TaskState.RUNNING:
            return task.stage
        case _:
            return ""


def progress_of(task: TaskSummary) -> str:
    """`1 min 20 s in it, 512 MiB, 65 s cpu, log 1.2 MiB`: what a running task has used in its stage."""
    used = task.progress
    if task.state is not TaskState.RUNNING or used is None:
        return ""
    parts = [f"{duration(used.stage_s)} in it"]
    parts += [size(used.memory_bytes)] if used.memory_bytes else []
    parts += [f"{used.cpu_s:.0f} s cpu"] if used.cpu_s else []
    parts += [f"log {size(used.log_bytes)}"] if used.log_bytes else []
    return ", ".join(parts)


def _seen(task: TaskSummary) -> tuple[object, ...]:
    return task.state, task.host, task.attempt, task.blocked_reason, task.message, task.stage


def _reason(message: str) -> str:
    return f": {message}" if message else ""
