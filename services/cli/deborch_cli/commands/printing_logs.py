"""The log of a task on stdout: as it is so far, or as it grows, attempt after attempt."""

import codecs
from collections.abc import Sequence

from deborch_cli.exit_codes import ExitCode
from deborch_cli.output import note
from deborch_cli.output.printer import aside, emit_line, emit_text
from deborch_cli.session import Session
from deborch_cli.watching.changes import name_of
from deborch_cli.watching.logs import AskTasks, AttemptBegins, AttemptEnds, follow_attempts
from deborch_cli.watching.streams import LogEnd, ask_patiently, follow_log
from deborch_cli.watching.watch import is_in_dep_wait
from deborch_shared.contract.builds import TaskSummary
from deborch_shared.contract.states import TaskState


async def print_log(
    session: Session, task_id: int, ask: AskTasks, *, attempt: int | None, follow: bool, as_json: bool
) -> ExitCode:
    """The log of a task.

    Args:
        ask: gives the task as it is now, with the others whose logs are to follow on it.
        attempt: only that one; None: the last, and if the log is followed, all after it.
    """
    if not follow:
        return await _print_what_there_is(session, task_id, attempt, as_json=as_json)
    if attempt is not None:
        return await _print_growing_log(session, task_id, attempt, as_json=as_json)
    tasks = await ask()
    first = next((task for task in tasks if task.id == task_id), tasks[0])
    return await _print_growing_logs(session, ask, first, as_json=as_json)


async def _print_what_there_is(session: Session, task_id: int, attempt: int | None, *, as_json: bool) -> ExitCode:
    show = _emit_part if as_json else emit_text
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    params = {"attempt": str(attempt)} if attempt is not None else {}
    async with session.hub.open("GET", f"/api/v1/tasks/{task_id}/log", params=params) as response:
        async for chunk in response.content.iter_any():
            show(decoder.decode(chunk))
        show(decoder.decode(b"", final=True))
        if response.headers.get("X-Log-Complete") == "false":
            note("the log is still being written: --follow goes on with it", as_json=as_json)
    return ExitCode.OK


async def _print_growing_log(session: Session, task_id: int, attempt: int, *, as_json: bool) -> ExitCode:
    show = _emit_part if as_json else emit_text
    async for part in follow_log(session.hub, task_id, attempt=attempt):
        if isinstance(part, LogEnd):
            note(f"attempt {part.attempt} of task {task_id} is over: the task is {part.state}", as_json=as_json)
            return ExitCode.FAILED if part.state in {TaskState.FAILED, TaskState.CANCELED} else ExitCode.OK
        show(part)
    return ExitCode.OK


async def _print_growing_logs(session: Session, ask: AskTasks, first: TaskSummary, *, as_json: bool) -> ExitCode:
    task = first
    async for part in follow_attempts(session.hub, ask, first):
        if isinstance(part, AttemptBegins):
            if not as_json and part.task is not first:
                aside(f"attempt {part.task.attempt} of task {part.task.id} {name_of(part.task)} on {part.task.host}:")
            task = part.task
        elif isinstance(part, AttemptEnds):
            _tell_end_of_attempt(part, as_json=as_json)
        elif as_json:
            emit_line({"task": task.id, "attempt": task.attempt, "text": part})
        else:
            emit_text(part)
    return _exit_code_of_tasks(await ask_patiently(ask))


def _tell_end_of_attempt(end: AttemptEnds, *, as_json: bool) -> None:
    task, summary = end.task, end.summary
    if as_json:
        facts = summary.model_dump(mode="json", include={"outcome", "failure_class", "message"}) if summary else {}
        emit_line({"task": task.id, "attempt": end.attempt, **facts})
        return
    over = f"attempt {end.attempt} of task {task.id} is over"
    if task.state.is_terminal and task.attempt == end.attempt:
        note(f"{over}: the task is {task.state}")
    elif is_in_dep_wait(task):
        aside(f"{over}: the task waits for build dependencies: {', '.join(task.missing)}")
    else:
        why = ": ".join(filter(None, (summary.failure_class, summary.message))) if summary else ""
        aside(f"{over}, the task was given back{f' ({why})' if why else ''}; its next attempt is waited for")


def _exit_code_of_tasks(tasks: Sequence[TaskSummary]) -> ExitCode:
    if any(task.state in {TaskState.FAILED, TaskState.CANCELED} for task in tasks):
        return ExitCode.FAILED
    return ExitCode.DEPENDENCY_WAIT if any(map(is_in_dep_wait, tasks)) else ExitCode.OK


def _emit_part(text: str) -> None:
    if text:
        emit_line({"text": text})
