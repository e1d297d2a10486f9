"""`deb-mock plugin list`, `new` and `certify`."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deb_mock.certification.suite import Finding, Terms, certify, read_candidate
from deb_mock.cli.finish import finish
from deb_mock.cli.options import AsJson, CacheDir, StateDir, engine_config, native_architecture, required_codename
from deb_mock.cli.plugin_options import plugin_setting
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.host.privileges import require_root
from deb_mock.plugins import catalogue
from deb_mock.plugins.api import Check, PluginOptions
from deb_mock.plugins.skeleton import write_skeleton
from deborch_shared.errors import DeborchError

app = typer.Typer(help="Plug-ins: what there is, a new one, and whether one is fit to run.", no_args_is_help=True)
_NOT_CERTIFIED = 1


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a plug-in."""

    name: str
    type: str
    default: str
    description: str


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    summary: str
    shipped: bool
    check: bool
    api_version: str
    hooks: tuple[str, ...]
    options: tuple[Option, ...]
    problem: str | None


@app.command("list")
def list_plugins(
    options: Annotated[str, typer.Option(metavar="NAME", help="Show the options and hooks of this one.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show every plug-in that can be enabled."""

    async def work() -> list[_Listed]:
        if options:
            catalogue.load(options)
        return [_listed(name) for name in dict.fromkeys(entry.name for entry in catalogue.available())]

    listed = finish(work(), as_json=as_json)
    chosen = [each for each in listed if not options or each.name == options]
    if as_json:
        print(json.dumps([asdict(each) for each in chosen]))  # noqa: T201
    elif options:
        _show_one(chosen[0])
    else:
        table = Table("plug-in", "what it does", box=None)
        for each in chosen:
            kind = "" if each.shipped else "(installed) "
            table.add_row(each.name, Text(each.problem or f"{kind}{each.summary}", style="red" if each.problem else ""))
        Console().print(table)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower case letters, digits and '-'.")],
    directory: Annotated[Path | None, typer.Option(help="Where; deb-mock-NAME if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a working project of a plug-in to start from."""
    place = directory or Path(f"deb-mock-{name}")

    async def work() -> tuple[Path, ...]:
        return write_skeleton(name, place)

    written = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps([str(path) for path in written]))  # noqa: T201
        return
    for path in written:
        print(path)  # noqa: T201
    print(f"next: cd {place} && python -m pytest && sudo deb-mock plugin certify .")  # noqa: T201


@app.command("certify")
def certify_plugin(  # noqa: PLR0917 - typer reads the parameters as options
    project: Annotated[Path, typer.Argument(help="Directory of the plug-in's project, with its pyproject.toml.")],
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the plug-in.")] = None,
    suite: Annotated[str, typer.Option(help="Debian suite of the trial builds; the host's own if not given.")] = "",
    may_add: Annotated[float, typer.Option(min=0, help="Seconds that it may add to a build.")] = 5.0,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Try a plug-in: does it fit, is it documented, does it leave anything, does it break or slow builds?"""
    findings: list[Finding] = []
    console = Console(stderr=as_json)

    def show(finding: Finding) -> None:
        findings.append(finding)
        line = Text("pass  " if finding.passed else "FAIL  ", style="green" if finding.passed else "bold red")
        line.append(finding.trial, style="default").append(f": {finding.said}", style="dim")
        console.print(line, soft_wrap=True)

    config, chosen_suite = engine_config(state_dir, cache_dir), suite or required_codename()

    async def work() -> bool:
        require_root()
        state_dir.mkdir(parents=True, exist_ok=True)
        terms = Terms(
            config=config,
            suite=chosen_suite,
            architecture=await native_architecture(),
            options=dict(plugin_setting(f"candidate:{','.join(option or ())}").options),
            may_add_s=may_add,
        )
        return await certify(read_candidate(project.absolute()), terms, show)

    certified = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps({"certified": certified, "trials": [asdict(each) for each in findings]}))  # noqa: T201
    else:
        print("certified" if certified else "not certified")  # noqa: T201
    raise typer.Exit(0 if certified else _NOT_CERTIFIED)


def _listed(name: str) -> _Listed:
    shipped = name in catalogue.SHIPPED
    try:
        plugin = catalogue.load(name)
    except DeborchError as error:
        return _Listed(name, "", shipped, False, "", (), (), error.message)
    return _Listed(
        name,
        plugin.summary,
        shipped,
        issubclass(plugin, Check),
        plugin.api_version,
        catalogue.hook_names(plugin),
        tuple(options_of(plugin.options_model)),
        None,
    )


def options_of(model: type[PluginOptions]) -> Iterator[Option]:
    """The options of a plug-in as people read them."""
    schema = model.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        default = "required" if name in schema.get("required", ()) else json.dumps(field.get("default"))
        yield Option(name, _type_of(field, schema), default, field.get("description", ""))


def _type_of(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """A short name of a JSON schema's type."""
    if "$ref" in field:
        return _type_of(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type_of(each, schema) for each in field["anyOf"] if each.get("type") != "null")
    if field.get("type") == "array":
        return f"list of {_type_of(field.get('items', {}), schema)}"
    return str(field.get("format") or field.get("type") or "any")


def _show_one(listed: _Listed) -> None:
    console = Console()
    console.print(Text(f"{listed.name}: {listed.summary}", style="bold"))
    console.print(f"interface {listed.api_version}; hooks: {', '.join(listed.hooks)}", highlight=False, soft_wrap=True)
    table = Table("option", "type", "default", "meaning", box=None)
    for each in listed.options:
        table.add_row(*(Text(text) for text in (each.name, each.type, each.default, each.description)))
    console.print(table if listed.options else "no options")
