"""`deborch compose schedule`: composes that are asked for again and again."""

from pathlib import Path
from typing import Annotated

import typer

from deborch_cli.arguments import checked_name, input_checked
from deborch_cli.commands.composing import upload_tree
from deborch_cli.groups import HelpfulGroup
from deborch_cli.options import Json, Limit
from deborch_cli.output import Age, Duration, Identity, State, Table, confirm, emit
from deborch_cli.session import Session, fetch_list, with_session
from deborch_cli.treefile_files import as_references, tree_of
from deborch_shared.contract.composes import ComposeCreate, Schedule, ScheduleChange, ScheduleCreate

app = typer.Typer(cls=HelpfulGroup, add_completion=False, help="Composes that are asked for again and again.")
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The schedule's name.", callback=checked_name, show_default=False)
]
_HOUR_S = 3600


@app.command("create")
def create_schedule(
    *,
    name: Name,
    treefile: Annotated[Path, typer.Argument(metavar="TREEFILE", help="A treefile as it is now.", show_default=False)],
    daily_at: Annotated[str | None, typer.Option("--at", metavar="HH:MM", help="Each day at this time of UTC.")] = None,
    weekdays: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="DAY", help="With --at, only on this day, such as mon."),
    ] = None,
    every_h: Annotated[
        float | None, typer.Option("--every", metavar="HOURS", min=1 / 60, help="At this interval instead.")
    ] = None,
    variants: Annotated[
        list[str] | None, typer.Option("--variant", metavar="NAME", help="Only this variant, or pattern.")
    ] = None,
    architectures: Annotated[
        list[str] | None, typer.Option("--arch", "-a", metavar="ARCH", help="Only for this one.")
    ] = None,
    tests: Annotated[list[str] | None, typer.Option("--test", metavar="TEST", help="boot or upgrade.")] = None,
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="Type of its composes.")] = "nightly",
    more: Annotated[
        list[Path] | None, typer.Option("--file", metavar="PATH", help="One more file or directory of the tree.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask for a compose again and again; the treefile and its files are kept as they are now."""
    top, files = tree_of(treefile, more or ())
    with input_checked():
        compose = ComposeCreate(
            name=treefile.stem,
            treefile=top,
            files=as_references(files),
            variants=tuple(variants or ()),
            architectures=tuple(architectures or ()),
            tests=tuple(tests or ()),
            type=kind,
        )
        wanted = ScheduleCreate(
            name=name,
            compose=compose,
            daily_at=daily_at,
            weekdays=tuple(weekdays or ()),
            every_s=None if every_h is None else round(every_h * _HOUR_S),
        )

    async def run(session: Session) -> Schedule:
        await upload_tree(session, files, as_json=as_json)
        return await session.hub.post("/api/v1/schedules", Schedule, wanted)

    made = with_session(run)
    confirm(made, f"schedule {made.name} runs next at {made.next_at:%Y-%m-%d %H:%M} UTC", as_json=as_json)


@app.command("list")
def list_schedules(limit: Limit = 100, as_json: Json = False) -> None:
    """List the schedules, and when they run next."""
    found = with_session(lambda session: fetch_list(session.hub, "/api/v1/schedules", Schedule, limit=limit))
    rows = [
        (
            Identity(one.name),
            State("enabled" if one.enabled else "disabled"),
            one.daily_at,
            " ".join(one.weekdays),
            Duration(one.every_s),
            f"{one.next_at:%Y-%m-%d %H:%M}" if one.enabled else None,
            Age(one.last_at),
            one.last_compose_id,
            one.owner,
        )
        for one in found
    ]
    headings = ("schedule", "state", "at (UTC)", "on", "every", "next", "last", "compose", "owner")
    emit(found, lambda: Table(headings, rows, "no schedule yet"), as_json=as_json)


@app.command("enable")
def enable_schedule(name: Name, as_json: Json = False) -> None:
    """Switch a schedule on."""
    _switch(name, enabled=True, as_json=as_json)


@app.command("disable")
def disable_schedule(name: Name, as_json: Json = False) -> None:
    """Switch a schedule off; its composes go on."""
    _switch(name, enabled=False, as_json=as_json)


@app.command("delete")
def delete_schedule(name: Name, as_json: Json = False) -> None:
    """Forget a schedule; its composes stay."""
    with_session(lambda session: session.hub.call("DELETE", f"/api/v1/schedules/{name}"))
    confirm({"name": name}, f"schedule {name} is deleted", as_json=as_json)


def _switch(name: str, *, enabled: bool, as_json: bool) -> None:
    wanted = ScheduleChange(enabled=enabled)
    now = with_session(lambda session: session.hub.post(f"/api/v1/schedules/{name}/state", Schedule, wanted))
    confirm(now, f"schedule {now.name} is {'on' if now.enabled else 'off'}", as_json=as_json)
