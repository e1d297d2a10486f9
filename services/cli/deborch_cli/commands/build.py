"""`deborch build`: build a source package; list and handle builds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from deborch_cli.arguments import input_checked
from deborch_cli.commands.downloading import download_results
from deborch_cli.commands.following import watch_and_tell_build
from deborch_cli.commands.printing_logs import print_log
from deborch_cli.commands.submission import Wishes, submit_build
from deborch_cli.completion import target_names
from deborch_cli.groups import DefaultCommandGroup
from deborch_cli.options import Attempt, BuildId, Follow, Json, Limit, TargetFilter
from deborch_cli.output import Age, Digest, Duration, Identity, Sheet, Size, State, Table, confirm, emit, note
from deborch_cli.session import Session, fetch_list, with_session
from deborch_cli.watching.changes import source_of
from deborch_cli.watching.views import task_table
from deborch_shared.contract.builds import Build, BuildDetail, GiveBack, TaskSummary
from deborch_shared.contract.states import BuildState, TaskKind
from deborch_shared.errors import DeborchError, ErrorCode


class _BuildGroup(DefaultCommandGroup):
    DEFAULT: ClassVar[str] = "submit"


app = typer.Typer(
    cls=_BuildGroup,
    add_completion=False,
    subcommand_metavar="PACKAGE | COMMAND [ARGS]...",
    help="Build a source package, or list and handle builds.\n\n`deborch build PACKAGE` is short for `deborch build"
    " submit PACKAGE`. PACKAGE is the path of a .dsc, or NAME or NAME=VERSION of the target's Debian suite.",
)
Architectures = Annotated[
    list[str] | None,
    typer.Option("--arch", "-a", metavar="ARCH", help="Only for this architecture; give it once for each."),
]


@app.command("submit")
def submit(
    *,
    package: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE",
            help="A .dsc with its files beside it, or NAME[=VERSION] of the target's Debian suite.",
            show_default=False,
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", metavar="TARGET", envvar="DEBORCH_TARGET", autocompletion=target_names,
            help="What to build against; not needed where there is only one.",
        ),
    ] = None,
    architectures: Architectures = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look on until it is over.")] = False,
    scratch: Annotated[bool, typer.Option("--scratch", help="Build, but publish nothing.")] = False,
    priority: Annotated[int, typer.Option("--priority", min=-1000, max=1000, help="Higher goes first.")] = 0,
    after: Annotated[
        list[int] | None,
        typer.Option("--after", metavar="BUILD", min=1, help="Start once what this build made is published."),
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--require-tag", metavar="TAG", help="Only on a host with this tag.")
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Build a source package."""
    wishes = Wishes(
        target=target,
        architectures=tuple(architectures or ()),
        scratch=scratch,
        priority=priority,
        after_builds=tuple(after or ()),
        required_tags=tuple(tags or ()),
    )

    async def run(session: Session) -> int:
        build = await submit_build(session, package, wishes, as_json=as_json)
        if watch:
            return await watch_and_tell_build(session, build.id, as_json=as_json)
        confirm(build, f"build {build.id} of {source_of(build)} for {build.target} is submitted", as_json=as_json)
        note(f"look on: deborch build watch {build.id}", as_json=as_json)
        return 0

    raise typer.Exit(with_session(run))


@app.command("list")
def list_builds(
    target: TargetFilter = None,
    state: Annotated[BuildState | None, typer.Option("--state", help="Only builds in this state.")] = None,
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only of this source package.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="WHO", help="Only of this owner.")] = None,
    limit: Limit = 30,
    as_json: Json = False,
) -> None:
    """List builds, newest first."""
    params = {"target": target, "state": state, "source": source, "owner": owner}
    found = with_session(lambda session: fetch_list(session.hub, "/api/v1/builds", Build, limit=limit, params=params))
    emit(found, lambda: _table(found), as_json=as_json)


@app.command("show")
def show_build(build: BuildId, as_json: Json = False) -> None:
    """Show one build: its tasks and its source files."""
    found = with_session(lambda session: _build(session, build))
    emit(found, lambda: _sheet(found), as_json=as_json)


@app.command("watch")
def watch_build(build: BuildId, as_json: Json = False) -> None:
    """Look on until a build is over; the exit code says how it ended."""
    raise typer.Exit(with_session(lambda session: watch_and_tell_build(session, build, as_json=as_json)))


@app.command("cancel")
def cancel_build(build: BuildId, as_json: Json = False) -> None:
    """Cancel a build, and stop what runs of it."""
    now = with_session(lambda session: session.hub.post(f"/api/v1/builds/{build}/cancel", BuildDetail))
    confirm(now, f"build {now.id} of {source_of(now)} is {now.state}", as_json=as_json)


@app.command("giveback")
def give_back_build(build: BuildId, architectures: Architectures = None, as_json: Json = False) -> None:
    """Try again what failed or was canceled of a build."""
    with input_checked():
        wanted = GiveBack(architectures=tuple(architectures or ()))
    now = with_session(lambda session: session.hub.post(f"/api/v1/builds/{build}/giveback", BuildDetail, wanted))
    confirm(now, f"build {now.id} of {source_of(now)} is {now.state}", as_json=as_json)
    note(f"look on: deborch build watch {build}", as_json=as_json)


@app.command("log")
def show_log(
    build: BuildId,
    architecture: Annotated[
        str | None, typer.Option("--arch", "-a", metavar="ARCH", help="The log of the task of this architecture.")
    ] = None,
    attempt: Attempt = None,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Print the log of a build."""

    async def run(session: Session) -> int:
        async def ask() -> Sequence[TaskSummary]:
            return _tasks_with_logs(await _build(session, build), architecture)

        task = task_with_log(await _build(session, build), architecture)
        return await print_log(session, task.id, ask, attempt=attempt, follow=follow, as_json=as_json)

    raise typer.Exit(with_session(run))


@app.command("download")
def download(
    build: BuildId,
    directory: Annotated[
        Path | None, typer.Option("--to", "-o", metavar="DIRECTORY", help="Where to; default: build-BUILD.")
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", metavar="KIND", help="Only this: deb, udeb, ddeb, changes, buildinfo, dsc, source or log."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there with other content.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch what a build made, each file verified by its SHA-256."""
    to = directory or Path(f"build-{build}")
    with_session(
        lambda session: download_results(
            session, build, to, kinds=frozenset(kinds or ()), overwrite=force, as_json=as_json
        )
    )


def task_with_log(build: BuildDetail, architecture: str | None) -> TaskSummary:
    """The task whose log a person means who names a build: of one architecture, else the one that began last.

    Raises:
        DeborchError: NOT_FOUND if there is none.
    """
    builds = _tasks_with_logs(build, architecture)
    begun = [task for task in builds if task.attempt > 0] or builds
    if not begun:
        what = f"task for {architecture}" if architecture else "task"
        raise DeborchError(
            ErrorCode.NOT_FOUND, f"build {build.id} has no {what}", hint=f"see `deborch build show {build.id}`"
        )
    return max(begun, key=lambda task: (task.started_at is not None, task.started_at, task.id))


def _tasks_with_logs(build: BuildDetail, architecture: str | None) -> list[TaskSummary]:
    builds = [task for task in build.tasks if task.kind is TaskKind.BUILD_PACKAGE] or build.tasks
    return [task for task in builds if architecture in {None, task.architecture}]


async def _build(session: Session, build_id: int) -> BuildDetail:
    return await session.hub.get(f"/api/v1/builds/{build_id}", BuildDetail)


def _table(builds: Sequence[Build]) -> Table:
    rows = [
        (
            Identity(build.id),
            build.source,
            build.version,
            f"{build.target} (scratch)" if build.scratch else build.target,
            State(build.state),
            Duration.between(build.created_at, build.ended_at),
            Age(build.created_at),
            build.owner,
        )
        for build in builds
    ]
    headings = ("build", "source", "version", "target", "state", "took", "created", "owner")
    return Table(headings, rows, "no such build")


def _sheet(build: BuildDetail) -> Sheet:
    files = [(file.name, Size(file.size_bytes), Digest(file.sha256)) for file in build.source_files]
    return Sheet(
        f"Build {build.id}  {source_of(build)}",
        (
            ("state", State(build.state)),
            ("said", build.message),
            ("target", build.target),
            ("scratch", "yes, nothing is published" if build.scratch else None),
            ("owner", build.owner),
            ("priority", build.priority or None),
            ("after builds", " ".join(map(str, build.after_builds))),
            ("created", Age(build.created_at)),
            ("took", Duration.between(build.created_at, build.ended_at)),
        ),
        (
            _titled(task_table(build.tasks), "Tasks"),
            _estimates(build),
            Table(("file", "size", "sha256"), files, "", title="Source"),
        ),
    )


def _estimates(build: BuildDetail) -> Table:
    rows = [
        (
            one.architecture,
            Duration(one.wall_s),
            Duration(one.cpu_s),
            Size(one.memory_peak_bytes) if one.memory_peak_bytes is not None else None,
            Size(one.disk_bytes) if one.disk_bytes is not None else None,
            one.builds,
        )
        for one in build.estimates
    ]
    return Table(("architecture", "takes", "cpu", "memory", "disk", "builds"), rows, "", title="By earlier builds")


def _titled(table: Table, title: str) -> Table:
    return Table(table.headings, table.rows, table.empty, title)
