"""`deborch task`: the single pieces of work that builds consist of."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from deborch_cli.arguments import input_checked
from deborch_cli.commands.following import watch_and_tell_task
from deborch_cli.commands.printing_logs import print_log
from deborch_cli.groups import HelpfulGroup
from deborch_cli.options import Attempt, Follow, Json, Limit, TaskId, new_key
from deborch_cli.output import Age, Duration, Identity, Sheet, Size, State, Table, confirm, emit, note
from deborch_cli.output.humanise import duration
from deborch_cli.session import Session, fetch_list, with_session
from deborch_cli.watching.changes import name_of, progress_of, reason_of
from deborch_cli.watching.views import took
from deborch_shared.contract.builds import AttemptSummary, Task, TaskCreate, TaskRef, TaskSummary, Why
from deborch_shared.contract.states import TaskKind, TaskState

app = typer.Typer(cls=HelpfulGroup, add_completion=False)


@app.command("list")
def list_tasks(
    build: Annotated[int | None, typer.Option("--build", metavar="BUILD", min=1, help="Only of this build.")] = None,
    state: Annotated[TaskState | None, typer.Option("--state", help="Only tasks in this state.")] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Only tasks of this host.")] = None,
    limit: Limit = 30,
    as_json: Json = False,
) -> None:
    """List tasks, newest first."""
    params = {"build_id": build, "state": state, "host": host}
    found = with_session(
        lambda session: fetch_list(session.hub, "/api/v1/tasks", TaskSummary, limit=limit, params=params)
    )
    emit(found, lambda: _table(found), as_json=as_json)


@app.command("show")
def show_task(task: TaskId, as_json: Json = False) -> None:
    """Show one task and its attempts."""
    found = with_session(lambda session: session.hub.get(f"/api/v1/tasks/{task}", Task))
    emit(found, lambda: _sheet(found), as_json=as_json)
    if not found.state.is_terminal and found.state is not TaskState.RUNNING:
        note(f"\nwhy it is not running: deborch task why {task}", as_json=as_json)


@app.command("why")
def why_task(task: TaskId, as_json: Json = False) -> None:
    """Explain why a task is not running, and what to do about it."""
    why = with_session(lambda session: session.hub.get(f"/api/v1/tasks/{task}/why", Why))
    emit(why, lambda: _why(why), as_json=as_json)


@app.command("watch")
def watch_task(task: TaskId, as_json: Json = False) -> None:
    """Look on until a task is over; the exit code says how it ended."""
    raise typer.Exit(with_session(lambda session: watch_and_tell_task(session, task, as_json=as_json)))


@app.command("log")
def show_log(task: TaskId, attempt: Attempt = None, follow: Follow = False, as_json: Json = False) -> None:
    """Print the log of a task."""

    async def run(session: Session) -> int:
        async def ask() -> Sequence[TaskSummary]:
            return [await session.hub.get(f"/api/v1/tasks/{task}", Task)]

        return await print_log(session, task, ask, attempt=attempt, follow=follow, as_json=as_json)

    raise typer.Exit(with_session(run))


@app.command("create")
def create_task(
    duration_s: Annotated[
        float, typer.Option("--duration", metavar="SECONDS", min=0, max=3600, help="How long it takes.")
    ] = 0.0,
    architecture: Annotated[
        str | None, typer.Option("--arch", "-a", metavar="ARCH", help="Only on a host of this architecture.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--require-tag", metavar="TAG", help="Only on a host with this tag.")
    ] = None,
    priority: Annotated[int, typer.Option("--priority", min=-1000, max=1000, help="Higher goes first.")] = 0,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look on until it is over.")] = False,
    as_json: Json = False,
) -> None:
    """Make a task that does nothing, to try a host or the way to it."""
    with input_checked():
        wanted = TaskCreate(
            kind=TaskKind.NOOP,
            architecture=architecture,
            required_tags=tuple(tags or ()),
            priority=priority,
            duration_s=duration_s,
        )

    async def submit(session: Session) -> int:
        made = await session.hub.post("/api/v1/tasks", TaskRef, wanted, idempotency_key=new_key())
        if watch:
            return await watch_and_tell_task(session, made.id, as_json=as_json)
        confirm(made, f"task {made.id} is {made.state}", as_json=as_json)
        note(f"look on: deborch task watch {made.id}", as_json=as_json)
        return 0

    raise typer.Exit(with_session(submit))


@app.command("cancel")
def cancel_task(task: TaskId, as_json: Json = False) -> None:
    """Cancel a task, and stop it if it runs."""
    now = with_session(lambda session: session.hub.post(f"/api/v1/tasks/{task}/cancel", Task))
    confirm(now, f"task {now.id} is {now.state}", as_json=as_json)


def _table(tasks: Sequence[TaskSummary]) -> Table:
    rows = [
        (
            Identity(task.id),
            task.build_id,
            name_of(task),
            State(task.state, reason_of(task)),
            task.host,
            took(task),
            Age(task.created_at),
        )
        for task in tasks
    ]
    return Table(("task", "build", "what", "state", "host", "took", "created"), rows, "no such task")


def _sheet(task: Task) -> Sheet:
    return Sheet(
        f"Task {task.id}  {name_of(task)}",
        (
            ("state", State(task.state, reason_of(task))),
            ("said", task.message),
            ("missing", ", ".join(task.missing)),
            ("build", task.build_id),
            ("kind", task.kind),
            ("architecture", task.architecture),
            ("required tags", " ".join(task.required_tags)),
            ("needs", f"{task.cpu} cpu"),
            ("memory", Size(task.memory_bytes)),
            ("disk", Size(task.disk_bytes)),
            ("priority", task.priority),
            ("attempts", f"{task.attempt} of {task.max_attempts}"),
            ("created", Age(task.created_at)),
            ("took", took(task)),
            ("does", progress_of(task)),
            ("usually takes", Duration(task.expected_s)),
            ("expected to end", _ends(task)),
        ),
        (_attempts(task.attempts), *(_stages(attempt) for attempt in task.attempts[-1:])),
    )


def _ends(task: Task) -> str:
    """How long it still takes, if it takes as long as usual."""
    if task.expected_end_at is None:
        return ""
    left_s = (task.expected_end_at - datetime.now(UTC)).total_seconds()
    return f"in {duration(left_s)}" if left_s > 0 else f"{duration(-left_s)} ago: it takes longer than usual"


def _attempts(attempts: Sequence[AttemptSummary]) -> Table:
    rows = [
        (
            Identity(a.attempt),
            a.host,
            State(a.outcome or "running", a.failure_class or ""),
            Duration.between(a.started_at, a.ended_at),
            a.message,
        )
        for a in attempts
    ]
    return Table(("attempt", "host", "outcome", "took", "message"), rows, "", title="Attempts")


def _stages(attempt: AttemptSummary) -> Table:
    rows = [
        (str(stage.get("name", "")), Duration(stage.get("wall_s")), Duration(stage.get("cpu_s")))
        for stage in attempt.stages
    ]
    return Table(("stage", "took", "cpu"), rows, "", title=f"Stages of attempt {attempt.attempt}")


def _why(why: Why) -> Sheet:
    rows = [(Identity(h.host), "would do" if h.obstacle == "none" else h.obstacle, h.detail) for h in why.hosts]
    return Sheet(
        why.summary,
        (
            ("state", State(why.state, why.blocked_reason or "")),
            ("missing", ", ".join(why.missing)),
            ("waits for tasks", " ".join(map(str, why.waits_for_tasks))),
            ("waits for builds", " ".join(map(str, why.waits_for_builds))),
            ("tasks ahead", why.tasks_ahead or None),
            ("hosts that would do", why.hosts_that_would_do if why.hosts else None),
            ("what to do", why.hint),
        ),
        (Table(("host", "obstacle", "detail"), rows, "", title="Hosts"),),
    )
