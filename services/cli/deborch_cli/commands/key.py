"""`deborch key`: API keys of people and programs, kept by the auth service."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from deborch_cli.arguments import checked_key_id, input_checked
from deborch_cli.groups import HelpfulGroup
from deborch_cli.options import Json, Limit
from deborch_cli.output import Age, Identity, Sheet, State, Table, confirm, emit, note
from deborch_cli.session import fetch_list, with_session
from deborch_shared.contract.auth import Key, KeyCreate, NewKey

app = typer.Typer(cls=HelpfulGroup, add_completion=False)
_DAY_S = 86_400


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is or what for.", show_default=False)],
    role: Annotated[
        Literal["viewer", "developer", "releaser", "admin"], typer.Option("--role", help="What it may do.")
    ] = "viewer",
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="PERMISSION", help="Only this of what the role may, such as build:read."),
    ] = None,
    expires_in_days: Annotated[
        float | None,
        typer.Option(
            "--expires-in", metavar="DAYS", min=0.001, max=3650, help="How long it is valid; default: for ever."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an API key. Its secret is printed once."""
    with input_checked():
        wanted = KeyCreate(
            name=name,
            role=role,
            scopes=tuple(scopes or ()),
            expires_in_s=round(expires_in_days * _DAY_S) if expires_in_days is not None else None,
        )
    made = with_session(lambda session: session.auth.post("/api/v1/keys", NewKey, wanted))
    emit(made, lambda: _sheet(made), as_json=as_json)
    note("the key is shown only now; `deborch login` asks for it", as_json=as_json)


@app.command("list")
def list_keys(limit: Limit = 100, as_json: Json = False) -> None:
    """List the API keys, without their secrets."""
    found = with_session(lambda session: fetch_list(session.auth, "/api/v1/keys", Key, limit=limit))
    emit(found, lambda: _table(found), as_json=as_json)


@app.command("revoke")
def revoke_key(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="The id of a key as listed, or its prefix as logs have it.",
            callback=checked_key_id,
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Make an API key useless, for good."""
    key_id = key.rpartition("_")[2]
    revoked = with_session(lambda session: session.auth.post(f"/api/v1/keys/{key_id}/revoke", Key))
    confirm(revoked, f"key {revoked.prefix} ({revoked.name}) is revoked", as_json=as_json)


def _state(key: Key) -> State:
    if key.revoked_at is not None:
        return State("revoked")
    return State("expired" if key.expires_at is not None and key.expires_at <= datetime.now(UTC) else "active")


def _table(keys: Sequence[Key]) -> Table:
    rows = [
        (
            Identity(key.id),
            key.name,
            f"builder {key.host}" if key.host else key.role,
            _state(key),
            Age(key.expires_at),
            Age(key.last_used_at),
            Age(key.created_at),
        )
        for key in keys
    ]
    headings = ("key", "name", "role", "state", "expires", "last used", "created")
    return Table(headings, rows, "no key yet")


def _sheet(key: NewKey) -> Sheet:
    return Sheet(
        f"Key {key.name}",
        (
            ("id", key.id),
            ("role", key.role),
            ("scopes", " ".join(key.scopes)),
            ("expires", Age(key.expires_at)),
            ("key", Identity(key.api_key)),
        ),
    )
