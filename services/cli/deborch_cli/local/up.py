"""`deborch up`: the whole stack on this machine, until Ctrl-C."""

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from deborch_cli.credentials import Credentials, known_credentials, save_login
from deborch_cli.local.ending import ended_by_signals
from deborch_cli.local.narration import Narrator
from deborch_cli.local.stack import LocalStack
from deborch_cli.private_files import write_private
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode, bounded

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="DEBORCH_DATA",
        metavar="DIRECTORY",
        help="Where everything is kept; made if it is not there. Default: ~/.local/share/deborch",
    ),
]
BuilderName = Annotated[str | None, typer.Option("--builder-name", help="Name of the builder; default: this host's.")]


def up(data: DataDir = None, builder_name: BuilderName = None) -> None:
    """Run PostgreSQL, RabbitMQ, auth, hub, one builder and one composer on this machine, until Ctrl-C.

    Root is needed for builder and composer alone: their trees are made of mounts, namespaces and files of many owners.
    """
    with_stack(data, builder_name, _stay)


def with_stack(
    data: Path | None, builder_name: str | None, use: Callable[[LocalStack, Narrator], Awaitable[None]]
) -> None:
    """Start the stack, log the command line in, run `use`; SIGTERM and Ctrl-C end it cleanly."""
    require_root()
    asyncio.run(_run(data or default_data_directory(), builder_name, use))


def default_data_directory() -> Path:
    """$XDG_DATA_HOME/deborch or ~/.local/share/deborch."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "deborch"


def require_root() -> None:
    """Refuse to start what could not build."""
    if os.geteuid() != 0:
        raise DeborchError(
            ErrorCode.NEEDS_ROOT,
            "the builder needs root: a buildroot is made of mounts, namespaces and files of many owners",
            hint="run it with sudo; PostgreSQL runs under a mapped user and no build is root on this machine",
        )


async def _run(data: Path, builder_name: str | None, use: Callable[[LocalStack, Narrator], Awaitable[None]]) -> None:
    narrator = Narrator()
    stack = LocalStack(data, narrator.notice, builder_name=builder_name)
    async with ended_by_signals(stack, narrator.warn):
        narrator.heading(f"Starting the stack in {data}")
        async with stack:
            await _log_in(stack, narrator)
            await use(stack, narrator)
            narrator.heading("Stopping")


async def _stay(stack: LocalStack, narrator: Narrator) -> None:
    narrator.say(f"hub   {stack.endpoints.hub_url}  (API: {stack.endpoints.hub_url}/api/v1/docs)")
    narrator.say(f"auth  {stack.endpoints.auth_url}")
    narrator.say("Try `deborch host list` and `deborch target create` in another terminal. Ctrl-C stops everything.")
    await until_stopped()


async def until_stopped() -> None:
    """Wait for the signal that ends the stack."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


async def _log_in(stack: LocalStack, narrator: Narrator) -> None:
    """Point the command line here, unless it is logged in elsewhere."""
    if not stack.admin_key.exists():
        narrator.say(f"{stack.admin_key} was removed: the command line stays logged in as it is.", style="yellow")
        return
    ours = stack.admin_credentials()
    known = known_credentials().get("api_key")
    if not stack.data.admin_key_shown.exists():
        narrator.say(f"The first admin key, shown this once: {ours.api_key}", style="bold")
        narrator.say(f"It is also kept in {stack.admin_key}, which only root can read.")
        write_private(stack.data.admin_key_shown, "")
    if user := invoking_user():
        await _log_in_too(user, ours, narrator)
    if known in {None, ours.api_key}:
        path = save_login(ours.hub_url, ours.auth_url, ours.api_key)
        narrator.say(f"The command line is logged in as admin ({path}).", style="bright_black")
    else:
        narrator.say("The command line stays logged in where it was; for this stack set", style="yellow")
        narrator.say(f"  DEBORCH_HUB_URL={ours.hub_url} DEBORCH_AUTH_URL={ours.auth_url}")
        narrator.say(f"  DEBORCH_API_KEY=$(cat {stack.admin_key})")


def invoking_user(environment: Mapping[str, str] = os.environ) -> pwd.struct_passwd | None:
    """Who has called sudo; None without it."""
    uid = environment.get("SUDO_UID", "")
    if not uid.isdecimal() or uid == "0":
        return None
    try:
        return pwd.getpwuid(int(uid))
    except KeyError:
        return None


async def _log_in_too(user: pwd.struct_passwd, ours: Credentials, narrator: Narrator) -> None:
    """The user behind sudo works with the stack as well: logged in as that user, who may be logged in elsewhere."""
    if (Path(user.pw_dir) / ".config" / "deborch" / "credentials.json").exists():
        return
    environment = {"PATH": os.defpath, "HOME": user.pw_dir, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
    login = [sys.executable, "-m", "deborch_cli", "login", "--key-file", "-"]
    urls = ["--hub-url", ours.hub_url, "--auth-url", ours.auth_url]
    result = await process.run(
        [*become, *login, *urls], env=environment, stdin=ours.api_key.encode(), timeout_s=30, check=False
    )
    if result.returncode == 0:
        narrator.say(f"{user.pw_name}, who called sudo, is logged in as admin, too.", style="bright_black")
    else:
        said = bounded(result.output, 300).strip()
        narrator.say(f"{user.pw_name}, who called sudo, could not be logged in: {said}", style="yellow")
