"""`deborch compose`: make images of a treefile through the hub; list and handle composes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from deborch_cli.arguments import input_checked
from deborch_cli.commands.compose_files import download_outputs, print_phase_log
from deborch_cli.commands.composing import submit_compose, watch_and_tell_compose
from deborch_cli.commands.promotion import add_promotion_commands
from deborch_cli.commands.schedule import app as schedule_app
from deborch_cli.groups import HelpfulGroup
from deborch_cli.options import Follow, Json, Limit
from deborch_cli.output import Age, Digest, Duration, Identity, Sheet, Size, State, Table, confirm, emit, note
from deborch_cli.session import Session, fetch_list, with_session
from deborch_cli.treefile_files import as_references, tree_of
from deborch_cli.watching.composes import phase_table
from deborch_shared.contract.composes import Compose, ComposeCreate, ComposeDiff, Composer, ComposeSummary
from deborch_shared.contract.states import ComposeState
from deborch_shared.errors import DeborchError, ErrorCode

app = typer.Typer(
    cls=HelpfulGroup, add_completion=False, help="Make bootable images of a treefile; list, promote, roll back."
)
app.add_typer(schedule_app, name="schedule")
add_promotion_commands(app)
ComposeArgument = Annotated[
    int, typer.Argument(metavar="COMPOSE", min=1, help="The number of a compose.", show_default=False)
]
Treefile = Annotated[Path, typer.Argument(metavar="TREEFILE", help="A treefile, YAML or JSON.", show_default=False)]
Variants = Annotated[
    list[str] | None, typer.Option("--variant", metavar="NAME", help="Only this variant, or pattern; once for each.")
]
Architectures = Annotated[list[str] | None, typer.Option("--arch", "-a", metavar="ARCH", help="Only for this one.")]
Variables = Annotated[
    list[str] | None, typer.Option("--variable", "--var", metavar="NAME=VALUE", help="Set a variable.")
]
Tests = Annotated[list[str] | None, typer.Option("--test", metavar="TEST", help="boot or upgrade.")]
Outputs = Annotated[
    list[str] | None, typer.Option("--output", metavar="KIND", help="Instead of the treefile's outputs; once for each.")
]
More = Annotated[
    list[Path] | None,
    typer.Option("--file", metavar="PATH", help="One more file or directory of the tree, that the treefile names."),
]
Kind = Annotated[str, typer.Option("--type", metavar="TYPE", help="production, nightly, test, ci or development.")]
Label = Annotated[str | None, typer.Option("--label", metavar="LABEL", help="Such as RC-1.0.")]


def wanted_compose(treefile: Path, more: Sequence[Path], **given: Any) -> tuple[ComposeCreate, list[Any]]:  # noqa: ANN401 - fields of ComposeCreate
    """What is asked for, and the files that go with it."""
    name, files = tree_of(treefile, more)
    with input_checked():
        wanted = ComposeCreate(
            name=treefile.stem,
            treefile=name,
            files=as_references(files),
            **{field: value for field, value in given.items() if value is not None},
        )
    return wanted, files


@app.command("create")
def create_compose(
    *,
    treefile: Treefile,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look on until it is over.")] = False,
    variants: Variants = None,
    architectures: Architectures = None,
    variables: Variables = None,
    tests: Tests = None,
    outputs: Outputs = None,
    label: Label = None,
    kind: Kind = "development",
    more: More = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip-phase", metavar="PHASE", help="Leave this phase or group out.")
    ] = None,
    just: Annotated[
        list[str] | None, typer.Option("--just-phase", metavar="PHASE", help="Only this and what it needs.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run phases whose result is there already.")] = False,
    as_json: Json = False,
) -> None:
    """Compose a treefile: upload it with the files that it names, and ask for the compose."""
    wanted, files = wanted_compose(
        treefile,
        more or (),
        variants=tuple(variants or ()),
        architectures=tuple(architectures or ()),
        variables=read_variables(variables or ()),
        tests=tuple(tests or ()),
        outputs=tuple(outputs) if outputs else None,
        label=label,
        type=kind,
        skip_phases=tuple(skip or ()),
        just_phases=tuple(just or ()),
        force=force,
    )

    async def run(session: Session) -> int:
        compose = await submit_compose(session, wanted, files, as_json=as_json)
        if watch:
            return await watch_and_tell_compose(session, compose.id, as_json=as_json)
        confirm(compose, f"compose {compose.id} of {compose.name} is requested", as_json=as_json)
        note(f"look on: deborch compose watch {compose.id}", as_json=as_json)
        return 0

    raise typer.Exit(with_session(run))


def read_variables(texts: Sequence[str]) -> Mapping[str, str]:
    """`NAME=VALUE` each.

    Raises:
        DeborchError: INVALID_INPUT for one without a sign of equality.
    """
    for text in texts:
        if "=" not in text:
            raise DeborchError(ErrorCode.INVALID_INPUT, f"{text!r} is not NAME=VALUE", hint="such as --var version=13")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


@app.command("list")
def list_composes(
    state: Annotated[ComposeState | None, typer.Option("--state", help="Only composes in this state.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Only of this name.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="WHO", help="Only of this owner.")] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", metavar="NAME", help="Only of this schedule.")] = None,
    limit: Limit = 30,
    as_json: Json = False,
) -> None:
    """List composes, newest first."""
    params = {"state": state, "name": name, "owner": owner, "schedule": schedule}
    found = with_session(
        lambda session: fetch_list(session.hub, "/api/v1/composes", ComposeSummary, limit=limit, params=params)
    )
    emit(found, lambda: _table(found), as_json=as_json)


@app.command("show")
def show_compose(compose: ComposeArgument, as_json: Json = False) -> None:
    """Show one compose: its phases, commits and images."""
    found = with_session(lambda session: session.hub.get(f"/api/v1/composes/{compose}", Compose))
    emit(found, lambda: _sheet(found), as_json=as_json)


@app.command("watch")
def watch(compose: ComposeArgument, as_json: Json = False) -> None:
    """Look on until a compose is over; the exit code says how it ended."""
    raise typer.Exit(with_session(lambda session: watch_and_tell_compose(session, compose, as_json=as_json)))


@app.command("cancel")
def cancel_compose(compose: ComposeArgument, as_json: Json = False) -> None:
    """Cancel a compose, and stop it at its composer."""
    now = with_session(lambda session: session.hub.post(f"/api/v1/composes/{compose}/cancel", Compose))
    confirm(now, f"compose {now.id} of {now.name} is {now.state}", as_json=as_json)


@app.command("resume")
def resume_compose(
    compose: ComposeArgument,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look on until it is over.")] = False,
    as_json: Json = False,
) -> None:
    """Go on with a compose that failed or was canceled; what is done is not done again."""

    async def run(session: Session) -> int:
        now = await session.hub.post(f"/api/v1/composes/{compose}/resume", Compose)
        if watch:
            return await watch_and_tell_compose(session, compose, as_json=as_json)
        confirm(now, f"compose {now.id} of {now.name} is {now.state}", as_json=as_json)
        return 0

    raise typer.Exit(with_session(run))


@app.command("log")
def show_log(
    compose: ComposeArgument,
    phase: Annotated[str, typer.Argument(metavar="PHASE", help="PHASE or PHASE.VARIANT.ARCH.", show_default=False)],
    attempt: Annotated[int | None, typer.Option("--attempt", metavar="N", min=1, help="Default: the last.")] = None,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Print the log of a phase."""
    with_session(
        lambda session: print_phase_log(session, compose, phase, attempt=attempt, follow=follow, as_json=as_json)
    )


@app.command("diff")
def diff_composes(
    before: Annotated[int, typer.Argument(metavar="BEFORE", min=1, help="A compose.", show_default=False)],
    after: Annotated[int, typer.Argument(metavar="AFTER", min=1, help="Another one.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Show what differs from one compose to another: packages, commits, files."""
    found = with_session(lambda session: session.hub.get(f"/api/v1/composes/{before}/diff/{after}", ComposeDiff))
    emit(found, lambda: _differences(found), as_json=as_json)


@app.command("download")
def download(
    compose: ComposeArgument,
    directory: Annotated[
        Path | None, typer.Option("--to", "-o", metavar="DIRECTORY", help="Where to; default: compose-COMPOSE.")
    ] = None,
    kinds: Annotated[list[str] | None, typer.Option("--kind", metavar="KIND", help="Only this, such as raw.")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Only show what there is.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there with other content.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch what a compose made, each file verified by its SHA-256."""
    to = None if only_list else directory or Path(f"compose-{compose}")
    with_session(
        lambda session: download_outputs(
            session, compose, to, kinds=frozenset(kinds or ()), overwrite=force, as_json=as_json
        )
    )


@app.command("composers")
def list_composers(as_json: Json = False) -> None:
    """List the composers, and what they run."""
    found = with_session(lambda session: fetch_list(session.hub, "/api/v1/composers", Composer, limit=1_000))
    rows = [
        (
            Identity(composer.name),
            State("draining" if composer.draining else "online" if composer.online else "offline"),
            " ".join(composer.architectures),
            f"{len(composer.running)} of {composer.slots}",
            " ".join(map(str, composer.running)),
            Age(composer.last_heartbeat_at),
        )
        for composer in found
    ]
    headings = ("composer", "state", "architectures", "busy", "composes", "heard")
    hint = "no composer yet: deborch host enrol NAME --composer"
    emit(found, lambda: Table(headings, rows, hint), as_json=as_json)


def _table(composes: Sequence[ComposeSummary]) -> Table:
    rows = [
        (
            Identity(compose.id),
            compose.name,
            compose.type,
            State(compose.state),
            compose.composer,
            Duration.between(compose.created_at, compose.ended_at),
            Age(compose.created_at),
            compose.schedule or compose.owner,
        )
        for compose in composes
    ]
    headings = ("compose", "name", "type", "state", "composer", "took", "created", "by")
    return Table(headings, rows, "no such compose")


def _sheet(compose: Compose) -> Sheet:
    phases = phase_table(compose.phases)
    commits = [(one.ref, Digest(one.commit), one.version) for one in compose.commits]
    images = [(one.image, one.digest, " ".join(one.tags)) for one in compose.images]
    return Sheet(
        f"Compose {compose.id}  {compose.name}",
        (
            ("state", State(compose.state)),
            ("said", compose.message),
            ("failure", compose.failure_class),
            ("compose id", compose.engine_name),
            ("type", compose.type),
            ("label", compose.label),
            ("treefile", compose.order.treefile),
            ("owner", compose.owner),
            ("schedule", compose.schedule),
            ("composer", compose.composer),
            ("attempt", compose.attempt if compose.attempt > 1 else None),
            ("created", Age(compose.created_at)),
            ("took", Duration.between(compose.created_at, compose.ended_at)),
            ("files", compose.outputs or None),
        ),
        (
            Table(phases.headings, phases.rows, phases.empty, "Phases"),
            Table(("ref", "commit", "version"), commits, "", title="Commits"),
            Table(("image", "digest", "tags"), images, "", title="Images"),
        ),
    )


def _differences(diff: ComposeDiff) -> Sheet:
    packages = [
        (target.target, change.package, change.architecture, change.before, change.after)
        for target in diff.targets
        for change in target.packages
    ]
    commits = [
        (target.target, target.commit_before, target.commit_after)
        for target in diff.targets
        if target.commit_before != target.commit_after
    ]
    files = [(change.path, _size(change.before_bytes), _size(change.after_bytes)) for change in diff.outputs]
    return Sheet(
        f"Compose {diff.before} to {diff.after}",
        (("differences", "none" if not (packages or commits or files) else None),),
        (
            Table(("target", "package", "architecture", "before", "after"), packages, "", title="Packages"),
            Table(("target", "before", "after"), commits, "", title="Commits"),
            Table(("file", "before", "after"), files, "", title="Files"),
        ),
    )


def _size(size_bytes: int | None) -> Size | None:
    return None if size_bytes is None else Size(size_bytes)
