"""`deborch host`: the builders."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from deborch_cli.arguments import input_checked
from deborch_cli.groups import HelpfulGroup
from deborch_cli.options import HostArgument, Json, Limit
from deborch_cli.output import Age, Identity, Sheet, Size, State, Table, confirm, emit, note
from deborch_cli.output.humanise import size
from deborch_cli.session import fetch_list, with_session
from deborch_shared.contract.auth import EnrolmentCreate, EnrolmentToken
from deborch_shared.contract.hosts import Host, HostChange
from deborch_shared.contract.states import HostState

app = typer.Typer(cls=HelpfulGroup, add_completion=False)


@app.command("list")
def list_hosts(
    state: Annotated[HostState | None, typer.Option("--state", help="Only hosts in this state.")] = None,
    limit: Limit = 200,
    as_json: Json = False,
) -> None:
    """List the hosts and how busy they are."""
    params = {"state": state}
    found = with_session(lambda session: fetch_list(session.hub, "/api/v1/hosts", Host, limit=limit, params=params))
    emit(found, lambda: _table(found), as_json=as_json)


@app.command("show")
def show_host(host: HostArgument, as_json: Json = False) -> None:
    """Show one host: what it offers, what it works on, what it runs."""
    found = with_session(lambda session: session.hub.get(f"/api/v1/hosts/{host}", Host))
    emit(found, lambda: _sheet(found), as_json=as_json)


@app.command("enable")
def enable_host(host: HostArgument, as_json: Json = False) -> None:
    """Let a host take tasks."""
    _change(host, HostState.ENABLED, "takes tasks", as_json)


@app.command("disable")
def disable_host(host: HostArgument, as_json: Json = False) -> None:
    """Give a host no more tasks."""
    _change(host, HostState.DISABLED, "gets no more tasks", as_json)


@app.command("drain")
def drain_host(host: HostArgument, as_json: Json = False) -> None:
    """Let a host finish what it works on, and give it nothing new."""
    _change(host, HostState.DRAINING, "finishes what it works on and gets nothing new", as_json)


@app.command("enrol")
def enrol_host(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the new host is called.", show_default=False)],
    expires_in_h: Annotated[
        float, typer.Option("--expires-in", metavar="HOURS", min=0.1, max=720, help="How long the token may be used.")
    ] = 1.0,
    composer: Annotated[bool, typer.Option("--composer", help="For a composer instead of a builder.")] = False,
    as_json: Json = False,
) -> None:
    """Print a token with which one builder or composer of that name can join, once."""
    with input_checked():
        role: Literal["builder", "composer"] = "composer" if composer else "builder"
        wanted = EnrolmentCreate(host=name, role=role, expires_in_s=round(expires_in_h * 3600))
    made = with_session(lambda session: session.auth.post("/api/v1/enrolments", EnrolmentToken, wanted))
    emit(made, lambda: _enrolment(made), as_json=as_json)
    note("the token is shown only now, and works once. On the new host, as root:", as_json=as_json)
    prefix = f"DEBORCH_{role.upper()}_"
    note(f"  {prefix}NAME={made.host} {prefix}ENROLMENT_TOKEN=... deborch-{role}", as_json=as_json)


def _change(host: str, state: HostState, outcome: str, as_json: bool) -> None:
    changed = with_session(
        lambda session: session.hub.post(f"/api/v1/hosts/{host}/state", Host, HostChange(state=state))
    )
    busy = len(changed.running_tasks)
    working = f"; it works on {busy} {'task' if busy == 1 else 'tasks'} now" if busy else ""
    confirm(changed, f"host {changed.name} {outcome}{working}", as_json=as_json)


def _state(host: Host) -> State:
    return State(host.state if host.online else "offline", "" if host.online else host.state)


def _table(hosts: Sequence[Host]) -> Table:
    rows = [
        (
            Identity(host.name),
            _state(host),
            " ".join(host.architectures),
            len(host.running_tasks),
            f"{host.used_cpu}/{host.cpu}",
            f"{size(host.used_memory_bytes)}/{size(host.memory_bytes)}",
            f"{host.load_1m:.2f}",
            Age(host.last_heartbeat_at),
            " ".join(host.tags),
        )
        for host in hosts
    ]
    headings = ("host", "state", "architectures", "tasks", "cpu", "memory", "load", "last seen", "tags")
    return Table(headings, rows, "no host yet: deborch host enrol NAME")


def _sheet(host: Host) -> Sheet:
    offers = (
        ("cpu", host.used_cpu, host.cpu),
        ("memory", Size(host.used_memory_bytes), Size(host.memory_bytes)),
        ("disk", Size(host.used_disk_bytes), Size(host.disk_bytes)),
    )
    return Sheet(
        f"Host {host.name}",
        (
            ("state", _state(host)),
            ("cannot build now", host.obstacle),
            ("architectures", " ".join(host.architectures)),
            ("tags", " ".join(host.tags)),
            ("works on tasks", " ".join(map(str, host.running_tasks))),
            ("load", f"{host.load_1m:.2f}"),
            ("last seen", Age(host.last_heartbeat_at)),
            ("registered", Age(host.registered_at)),
            ("runs", ", ".join(f"{name} {version}" for name, version in sorted(host.versions.items()))),
        ),
        (Table(("resource", "used", "of"), offers, ""),),
    )


def _enrolment(token: EnrolmentToken) -> Sheet:
    facts = (("host", token.host), ("token", Identity(token.enrolment_token)), ("expires", Age(token.expires_at)))
    return Sheet(f"Enrolment of {token.host}", facts)
