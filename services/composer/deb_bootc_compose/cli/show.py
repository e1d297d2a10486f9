"""`deb-bootc-compose show`: a treefile with everything merged, for one target, or the list of targets."""

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Column, Table

from deb_bootc_compose.cli.finish import finished
from deb_bootc_compose.cli.options import Allowed, TreefilePath, Variables, asked
from deb_bootc_compose.cli.tables import print_whole
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.resolving import Asked, TargetName, resolve, resolve_all

app = typer.Typer()


class Format(StrEnum):
    """What `show` prints."""

    YAML = "yaml"
    JSON = "json"


@app.command()
def show(
    treefile: TreefilePath,
    *,
    variant: Annotated[str, typer.Option(help="Its name; needed where there are several.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture; this machine's if nothing is said.")] = "",
    variables: Variables = None,
    allow: Allowed = None,
    output: Annotated[Format, typer.Option("--format", help="Of what is printed.")] = Format.YAML,
    list_targets: Annotated[bool, typer.Option("--list", help="All variants and architectures.")] = False,
    short: Annotated[bool, typer.Option("--short", help="Only what is not as it is by default.")] = False,
) -> None:
    """Print a treefile with includes, variants and variables in place."""
    with finished(as_json=output is Format.JSON):
        given = asked(treefile, variables, allow)
        if list_targets:
            _show_targets(given, variant, arch, output)
        else:
            found = resolve(treefile, variant, arch, given.variables, allowed=given.allowed)
            _print(resolved_values(found, short=short), output)


def resolved_values(treefile: ResolvedTreefile, *, short: bool = False) -> dict[str, Any]:
    """As a treefile spells it."""
    values: dict[str, Any] = treefile.model_dump(mode="json", by_alias=True, exclude_defaults=short)
    first = ("name", "variant", "architecture", "suite", "ref")
    custom: dict[str, Any] = values.pop("custom", {})
    return {key: values[key] for key in first} | values | custom | {"digest": treefile.digest}


def _show_targets(given: Asked, variant: str, arch: str, output: Format) -> None:
    found = resolve_all(given, variants=[variant] if variant else (), architectures=[arch] if arch else ())
    rows = [_row(target, treefile) for target, treefile in found.items()]
    if output is Format.JSON:
        print(json.dumps(rows, indent=2))  # noqa: T201
        return
    table = Table(
        "variant", "architecture", "ref", Column("packages", justify="right"), "outputs", box=None, pad_edge=False
    )
    for row in rows:
        outputs = ", ".join(row["outputs"])
        table.add_row(row["variant"], row["architecture"], row["ref"], str(row["packages"]), outputs)
    for column, style in zip(table.columns, ("bold", "cyan", "", "", "green"), strict=True):
        column.style = style
    print_whole(Console(highlight=False), table)


def _row(target: TargetName, treefile: ResolvedTreefile) -> dict[str, Any]:
    variant, architecture = target
    return {
        "variant": variant,
        "architecture": architecture,
        "ref": treefile.ref,
        "packages": len(treefile.packages),
        "outputs": [kind.value for kind in treefile.outputs],
        "digest": treefile.digest,
    }


def _print(values: dict[str, Any], output: Format) -> None:
    text = json.dumps(values, indent=2) if output is Format.JSON else yaml.safe_dump(values, sort_keys=False, width=110)
    if sys.stdout.isatty():
        Console().print(Syntax(text, output.value, background_color="default", word_wrap=True))
    else:
        print(text.rstrip())  # noqa: T201
