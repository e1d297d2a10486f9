"""`deborch target`: what to build against and to publish in."""

from collections.abc import Sequence
from typing import Annotated

import typer

from deborch_cli.arguments import input_checked
from deborch_cli.groups import HelpfulGroup
from deborch_cli.options import Json, Limit, TargetArgument
from deborch_cli.output import Age, Identity, Sheet, Table, Url, confirm, emit, note
from deborch_cli.session import fetch_list, with_session
from deborch_shared.contract.targets import Target, TargetCreate

app = typer.Typer(cls=HelpfulGroup, add_completion=False)


@app.command("create")
def create_target(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, such as bookworm.", show_default=False)],
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="SUITE", help="The Debian suite to build against; default: NAME.")
    ] = None,
    architectures: Annotated[
        list[str] | None,
        typer.Option("--arch", "-a", metavar="ARCH", help="An architecture to build for; give it once for each."),
    ] = None,
    components: Annotated[
        list[str] | None,
        typer.Option("--component", metavar="COMPONENT", help="A component of the suite; default: main."),
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--require-tag", metavar="TAG", help="A tag that a host must have to build.")
    ] = None,
    require_signature: Annotated[
        bool, typer.Option("--require-signature", help="Refuse a .dsc that no known key has signed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a target, with an archive of its own."""
    with input_checked():
        wanted = TargetCreate(
            name=name,
            suite=suite or name,
            architectures=tuple(architectures or ("amd64",)),
            components=tuple(components or ("main",)),
            required_tags=tuple(tags or ()),
            require_signature=require_signature,
        )
    made = with_session(lambda session: session.hub.post("/api/v1/targets", Target, wanted))
    built_for = ", ".join(made.architectures)
    confirm(made, f"target {made.name} builds against {made.suite} for {built_for}", as_json=as_json)
    note(f"build something: deborch build hello --target {made.name} --watch", as_json=as_json)


@app.command("list")
def list_targets(limit: Limit = 200, as_json: Json = False) -> None:
    """List the targets."""
    found = with_session(lambda session: fetch_list(session.hub, "/api/v1/targets", Target, limit=limit))
    emit(found, lambda: _table(found), as_json=as_json)


@app.command("show")
def show_target(target: TargetArgument, as_json: Json = False) -> None:
    """Show one target."""
    found = with_session(lambda session: session.hub.get(f"/api/v1/targets/{target}", Target))
    emit(found, lambda: _sheet(found), as_json=as_json)


def _table(targets: Sequence[Target]) -> Table:
    rows = [
        (
            Identity(target.name),
            target.suite,
            " ".join(target.architectures),
            " ".join(target.components),
            Age(target.created_at),
        )
        for target in targets
    ]
    empty = "no target yet: deborch target create bookworm --arch amd64"
    return Table(("target", "suite", "architectures", "components", "created"), rows, empty)


def _sheet(target: Target) -> Sheet:
    return Sheet(
        f"Target {target.name}",
        (
            ("suite", target.suite),
            ("architectures", " ".join(target.architectures)),
            ("components", " ".join(target.components)),
            ("required tags", " ".join(target.required_tags)),
            ("signed sources only", "yes" if target.require_signature else "no"),
            ("archive", Url(target.archive_url)),
            ("created", Age(target.created_at)),
        ),
    )
