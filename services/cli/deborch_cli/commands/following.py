"""What several commands end with: look on until it is over and say how it ended."""

import asyncio

from rich.text import Text

from deborch_cli.exit_codes import ExitCode
from deborch_cli.output import Duration, note
from deborch_cli.output.cells import printable, rich
from deborch_cli.output.printer import stdout
from deborch_cli.session import Session
from deborch_cli.watching.changes import name_of, source_of
from deborch_cli.watching.views import JsonView, LineView, LiveView
from deborch_cli.watching.watch import waits_for_dependencies, watch_build, watch_task
from deborch_shared.contract.builds import BuildDetail, Task
from deborch_shared.contract.states import BuildState, TaskState

_MARKS = {ExitCode.OK: ("✓ ", "bold green"), ExitCode.FAILED: ("✗ ", "bold red")}
_WAITING_MARK = ("… ", "bold yellow")


async def watch_and_tell_build(session: Session, build_id: int, *, as_json: bool) -> ExitCode:
    """Look on until the build is over, then say how it ended and what to do next; its exit code."""
    try:
        with _view(as_json) as view:
            build = await watch_build(session.hub, build_id, view)
    except asyncio.CancelledError:
        note(f"build {build_id} goes on; to look on again or to end it: deborch build watch|cancel {build_id}")
        raise
    code = exit_code_of_build(build)
    if not as_json and code is ExitCode.DEPENDENCY_WAIT:
        await _tell_what_is_missing(session, build)
    elif not as_json:
        _tell_build(build, code)
    return code


async def watch_and_tell_task(session: Session, task_id: int, *, as_json: bool) -> ExitCode:
    """Look on until the task is over; its exit code."""
    try:
        with _view(as_json) as view:
            task = await watch_task(session.hub, task_id, view)
    except asyncio.CancelledError:
        note(f"task {task_id} goes on; to look on again or to end it: deborch task watch|cancel {task_id}")
        raise
    code = ExitCode.OK if task.state is TaskState.COMPLETED else ExitCode.FAILED
    if not as_json:
        _tell(code, _how_it_ended(f"task {task.id} {name_of(task)}", task))
    return code


def exit_code_of_build(build: BuildDetail) -> ExitCode:
    if not build.state.is_terminal and waits_for_dependencies(build):
        return ExitCode.DEPENDENCY_WAIT
    return ExitCode.OK if build.state is BuildState.COMPLETED else ExitCode.FAILED


def _view(as_json: bool) -> LiveView | LineView | JsonView:
    if as_json:
        return JsonView()
    console = stdout()
    return LiveView(console) if console.is_terminal else LineView()


def _tell_build(build: BuildDetail, code: ExitCode) -> None:
    what = f"build {build.id} of {source_of(build)}"
    _tell(code, _how_it_ended(what, build))
    if code is ExitCode.OK:
        where = "scratch, so nothing is published" if build.scratch else f"published in the archive {build.target}"
        note(f"{where}; fetch the files: deborch build download {build.id}")
        return
    for task in build.tasks:
        if task.state is TaskState.FAILED:
            note(f"read on: deborch task log {task.id}; try again: deborch build giveback {build.id}")


async def _tell_what_is_missing(session: Session, build: BuildDetail) -> None:
    waiting = [task.id for task in build.tasks if not task.state.is_terminal]
    tasks = [await session.hub.get(f"/api/v1/tasks/{task_id}", Task) for task_id in waiting]
    missing = sorted({name for task in tasks for name in task.missing})
    what = f"build {build.id} of {source_of(build)}"
    _tell(ExitCode.DEPENDENCY_WAIT, f"{what} waits for build dependencies: {', '.join(missing)}")
    note(f"it starts by itself once they are published in {build.target}; looking on ends here")


def _how_it_ended(what: str, over: BuildDetail | Task) -> str:
    took = Duration.between(over.created_at, over.ended_at)
    said = f": {over.message}" if over.message and over.state not in {BuildState.COMPLETED, TaskState.COMPLETED} else ""
    return f"{what} {over.state} after {rich(took).plain}{said}"


def _tell(code: ExitCode, sentence: str) -> None:
    console = stdout()
    mark = Text(*_MARKS.get(code, _WAITING_MARK)) if console.is_terminal else Text()
    console.print(mark + Text(printable(sentence)), soft_wrap=True)
