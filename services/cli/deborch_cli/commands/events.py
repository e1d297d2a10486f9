"""`deborch events`: what happens, as it happens."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from deborch_cli.options import Json
from deborch_cli.output.cells import printable
from deborch_cli.output.printer import emit_line, stdout
from deborch_cli.session import Session, with_session
from deborch_cli.watching.streams import follow_events
from deborch_shared.http import ApiClient
from deborch_shared.http.sse import ServerSentEvent, read_events

_STYLES = (("failed", "red"), ("lost", "red"), ("completed", "green"), ("published", "green"), ("canceled", "yellow"))


def events(
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Only what is to come (and after --since), until Ctrl-C.")
    ] = False,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only events of this type, such as task.failed.")
    ] = None,
    build: Annotated[int | None, typer.Option("--build", metavar="BUILD", min=1, help="Only of this build.")] = None,
    task: Annotated[int | None, typer.Option("--task", metavar="TASK", min=1, help="Only of this task.")] = None,
    compose: Annotated[
        int | None, typer.Option("--compose", metavar="COMPOSE", min=1, help="Only of this compose.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="ID", help="Only after the event with this stream id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the events that the hub has kept, oldest first; with --follow, those to come.

    With --json, one CloudEvent per line; its member "streamid" is what --since takes.
    """
    params = {
        "types": ",".join(types or ()),
        "build_id": str(build or ""),
        "task_id": str(task or ""),
        "compose_id": str(compose or ""),
    }
    asked = {name: value for name, value in params.items() if value}

    async def show(session: Session) -> None:
        if follow:
            stream = follow_events(session.hub, asked, last_id=since or "")
        else:
            stream = _kept_events(session.hub, asked, since)
        async with aclosing(stream) as wanted:
            async for event in wanted:
                _print(event, as_json)

    with_session(show)


async def _kept_events(
    hub: ApiClient, params: Mapping[str, str], last_id: str | None
) -> AsyncGenerator[ServerSentEvent, None]:
    """What is there already; the hub ends the stream behind it."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    asked = {**params, "follow": "false"}
    async with hub.open("GET", "/api/v1/events", params=asked, headers=headers) as response:
        async for event in read_events(response):
            yield event


def _print(event: ServerSentEvent, as_json: bool) -> None:
    form = orjson.loads(event.data)
    if as_json:
        emit_line({**form, "streamid": event.id})
        return
    kind = str(form.get("type", ""))
    style = next((style for ending, style in _STYLES if kind.endswith(ending)), "cyan")
    said = printable(_told(form.get("data") or {}))
    line = Text.assemble((_time(form), "bright_black"), "  ", (f"{printable(kind):<18}", style), "  ", said)
    stdout().print(line, soft_wrap=True)


def _time(form: Mapping[str, Any]) -> str:
    try:
        return f"{datetime.fromisoformat(str(form['time'])).astimezone():%Y-%m-%d %H:%M:%S}"
    except (KeyError, ValueError):
        return " " * 19


def _told(data: Mapping[str, Any]) -> str:
    """`build 12  task 31  host b1`, and the other facts as `name=value`."""
    named = [
        f"{name.removesuffix('_id')} {data[name]}"
        for name in ("build_id", "task_id", "target", "host")
        if data.get(name)
    ]
    others = [
        f"{name}={','.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in data.items()
        if name not in {"build_id", "task_id", "target", "host"}
        and value not in ("", None, [])
        and not isinstance(value, dict)
    ]
    return "  ".join([*named, *others])
