"""Options and arguments that several commands share, each written once."""

import secrets
from typing import Annotated

import typer

from deborch_cli.arguments import checked_name
from deborch_cli.completion import host_names, target_names

Json = Annotated[bool, typer.Option("--json", help="Print JSON: one document; for a stream, one a line.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="At most that many, newest first.")
]
BuildId = Annotated[int, typer.Argument(metavar="BUILD", min=1, help="The number of a build.", show_default=False)]
TaskId = Annotated[int, typer.Argument(metavar="TASK", min=1, help="The number of a task.", show_default=False)]
TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The name of a target.",
        autocompletion=target_names,
        callback=checked_name,
        show_default=False,
    ),
]
TargetFilter = Annotated[
    str | None,
    typer.Option("--target", "-t", metavar="TARGET", help="Only of this target.", autocompletion=target_names),
]
HostArgument = Annotated[
    str,
    typer.Argument(
        metavar="HOST", help="The name of a host.", autocompletion=host_names, callback=checked_name, show_default=False
    ),
]
Follow = Annotated[
    bool,
    typer.Option("--follow", "-f", help="Go on with what is still being written, attempt after attempt, to the end."),
]
Attempt = Annotated[
    int | None, typer.Option("--attempt", metavar="N", min=1, help="The log of this attempt; default: the last.")
]


def new_key() -> str:
    """An idempotency key: however often the same request is sent, it takes effect once."""
    return secrets.token_hex(16)
