"""`deborch login`, `logout` and `whoami`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deborch_cli.credentials import Credentials, checked_url, known_credentials, remove_login, save_login
from deborch_cli.options import Json
from deborch_cli.output import Age, Identity, Sheet, confirm, emit, note
from deborch_cli.session import Session, with_session
from deborch_shared.contract.auth import WhoAmI
from deborch_shared.contract.base import Output
from deborch_shared.errors import DeborchError, ErrorCode


class LoggedOut(Output):
    logged_out: bool


def login(
    hub_url: Annotated[str | None, typer.Option("--hub-url", metavar="URL", help="Where the hub is.")] = None,
    auth_url: Annotated[
        str | None, typer.Option("--auth-url", metavar="URL", help="Where the auth service is.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", metavar="FILE", help="A file with the API key; - reads it from standard input."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check an API key and keep it for the commands to come.

    The key is asked for, or read from --key-file, DEBORCH_API_KEY or standard input: never an argument, which
    other users of the machine could see.
    """
    known = known_credentials()
    credentials = Credentials(
        checked_url(hub_url or known.get("hub_url") or _ask("URL of the hub", "--hub-url")),
        checked_url(auth_url or known.get("auth_url") or _ask("URL of the auth service", "--auth-url")),
        _api_key(key_file),
    )
    who = with_session(_whoami, credentials=credentials)
    path = save_login(credentials.hub_url, credentials.auth_url, credentials.api_key)
    confirm(who, f"logged in at {credentials.hub_url} as {who.subject} ({', '.join(who.roles)})", as_json=as_json)
    note(f"kept in {path}, which only you can read", as_json=as_json)


def logout(as_json: Json = False) -> None:
    """Forget the API key and the access token. The key itself stays valid: `deborch key revoke` ends it."""
    there = remove_login()
    confirm(LoggedOut(logged_out=there), "logged out" if there else "you were not logged in", as_json=as_json)


def whoami(as_json: Json = False) -> None:
    """Show who you are for the services and what you may do."""
    who = with_session(_whoami)
    emit(who, lambda: _sheet(who), as_json=as_json)


async def _whoami(session: Session) -> WhoAmI:
    return await session.auth.get("/api/v1/whoami", WhoAmI)


def _ask(what: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise DeborchError(ErrorCode.INVALID_INPUT, f"the {what} is not given", hint=f"give {option} URL")
    return str(typer.prompt(what))


def _api_key(key_file: Path | None) -> str:
    if key_file is not None and str(key_file) != "-":
        key = key_file.read_text(encoding="utf-8").strip()
    elif key_file is None and (from_environment := os.environ.get("DEBORCH_API_KEY")):
        key = from_environment.strip()
    elif sys.stdin.isatty():
        key = str(typer.prompt("API key", hide_input=True)).strip()
    else:
        key = sys.stdin.readline().strip()
    if not key or not key.isascii() or not key.isprintable():
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            "no usable API key was given",
            hint="type it when asked, or give --key-file FILE; `deborch key create` makes one",
        )
    return key


def _sheet(who: WhoAmI) -> Sheet:
    return Sheet(
        who.subject,
        (
            ("subject", Identity(who.subject)),
            ("roles", " ".join(who.roles)),
            ("host", who.host),
            ("permissions", " ".join(who.permissions)),
            ("token expires", Age(who.expires_at)),
        ),
    )
