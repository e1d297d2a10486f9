"""`deb-mock list`, `update`, `clean` and `scrub`."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from deb_mock.caches.garbage import Removed
from deb_mock.caches.inventory import BuildrootState, Inventory
from deb_mock.cli.finish import described, finish, show_error
from deb_mock.cli.options import (
    AsJson,
    CacheDir,
    StateDir,
    engine_config,
    native_architecture,
    required_codename,
)
from deb_mock.engine import Engine
from deb_mock.failures import exit_code
from deb_mock.host.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.model import CacheKind
from deborch_shared.errors import DeborchError

app = typer.Typer()
_STATE_STYLES = {
    BuildrootState.STARTING: "yellow",
    BuildrootState.RUNNING: "green",
    BuildrootState.ABANDONED: "red",
}
Suite = Annotated[str | None, typer.Option(help="Only of this suite.")]


class Scrubbed(StrEnum):
    """What `scrub` takes."""

    BASE = "base"
    LAYERS = "layers"
    DEBS = "debs"
    SOURCES = "sources"
    CCACHE = "ccache"
    ALL = "all"


_KINDS = {
    Scrubbed.LAYERS: (CacheKind.LAYER,),
    Scrubbed.BASE: (CacheKind.BASE,),
    Scrubbed.DEBS: (CacheKind.DEB,),
    Scrubbed.SOURCES: (CacheKind.SOURCES,),
    Scrubbed.CCACHE: (CacheKind.CCACHE,),
    Scrubbed.ALL: tuple(CacheKind),
}


@app.command("list")
def list_cached(
    state_dir: StateDir = DEFAULT_STATE_DIR, cache_dir: CacheDir = DEFAULT_CACHE_DIR, as_json: AsJson = False
) -> None:
    """Show cached bases and dependency layers, and buildroots in use."""
    found = Engine(engine_config(state_dir, cache_dir)).inventory()
    if as_json:
        print(json.dumps(_as_json(found), default=str))  # noqa: T201
        return
    console = Console()
    console.print(_bases(found))
    if found.layers:
        console.print(_layers(found))
    if found.buildroots:
        console.print(_buildroots(found))
    if found.kept:
        console.print(_kept(found))
    downloads = f"{found.downloads} downloaded packages, {_mib(found.downloads_bytes)}"
    console.print(f"{downloads}; {_mib(found.free_bytes)} free on the disk", highlight=False)


@app.command()
def update(  # noqa: PLR0917 - typer reads the parameters as options
    suite: Annotated[str, typer.Option(help="Debian suite; the host's own if not given.")] = "",
    arch: Annotated[str, typer.Option(help="Architecture; the host's own if not given.")] = "",
    mirror: Annotated[str | None, typer.Option(help="Debian archive; the host's apt sources say if not given.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every suite that has a base.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Ask the archive now whether it has changed, and bring the base up to date."""
    engine = Engine(engine_config(state_dir, cache_dir, mirror))

    async def work() -> tuple[list[dict[str, Any]], list[DeborchError]]:
        await engine.recover()
        known = {(base.suite, base.architecture, base.components) for base in engine.bases()}
        main = (suite or required_codename(), arch or await native_architecture(), ("main",))
        updated, failed = [], []
        for name, architecture, components in sorted(known) if every else [main]:
            before = {base.name for base in engine.bases()}
            try:
                base = await engine.ensure_base(
                    name, architecture, components=components, check=True, on_log=lambda _: None
                )
            except DeborchError as error:
                if not every:
                    raise
                error.message = f"{name} {architecture}: {error.message}"
                failed.append(error)
            else:
                updated.append({**asdict(base), "changed": base.name not in before})
        return updated, failed

    result, failed = finish(work(), as_json=as_json)
    _show_updated(result, failed, as_json=as_json)
    if failed:
        raise typer.Exit(exit_code(failed[0]))


@app.command()
def clean(
    state_dir: StateDir = DEFAULT_STATE_DIR, cache_dir: CacheDir = DEFAULT_CACHE_DIR, as_json: AsJson = False
) -> None:
    """Remove what killed builds left, and what the limits say of age and size."""
    engine = Engine(engine_config(state_dir, cache_dir))

    async def work() -> dict[str, list[str]]:
        recovered = await engine.recover()
        expired = await engine.collect_garbage()
        left = [*recovered.sandboxes, *recovered.half_made_bases, *recovered.half_made_layers]
        return {"left behind": left, "expired": [f"{removed.kind} {removed.name}" for removed in expired]}

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(result))  # noqa: T201
        return
    for kind, names in result.items():
        print(f"{kind}: {', '.join(names) or 'nothing to remove'}")  # noqa: T201


@app.command()
def scrub(
    what: Annotated[Scrubbed, typer.Argument(help="Which cache.")],
    suite: Suite = None,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Empty a cache, but for what builds use now. Everything in it is made or fetched again when it is needed."""
    engine = Engine(engine_config(state_dir, cache_dir))

    async def work() -> list[Removed]:
        await engine.recover()
        return [removed for kind in _KINDS[what] for removed in await engine.scrub(kind, suite)]

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps({"removed": [asdict(removed) for removed in result]}))  # noqa: T201
        return
    for kind in CacheKind:
        sizes = [removed.size_bytes for removed in result if removed.kind is kind]
        if sizes:
            print(f"{kind}: {len(sizes)} removed, {_mib(sum(sizes))}")  # noqa: T201
    if not result:
        print("nothing to remove, or all of it is in use")  # noqa: T201


def _show_updated(updated: list[dict[str, Any]], failed: list[DeborchError], *, as_json: bool) -> None:
    if as_json:
        shown = {"bases": updated, "failed": [described(error) for error in failed]}
        print(json.dumps(shown, default=str))  # noqa: T201
        return
    for base in updated:
        print(f"{base['suite']} {base['architecture']}: {'new' if base['changed'] else 'unchanged'}, {base['name']}")  # noqa: T201
    for error in failed:
        show_error(error)


def _as_json(found: Inventory) -> dict[str, Any]:
    shown = asdict(found)
    shown["bases"] = [{**entry.pop("base"), **entry} for entry in shown["bases"]]
    shown["kept"] = [{**entry.pop("buildroot"), **entry} for entry in shown["kept"]]
    return shown


def _bases(found: Inventory) -> Table:
    table = _table("base", "age", "used", "size", "layers", "")
    for entry in found.bases:
        base = entry.base
        marks = [mark for mark, is_so in (("[green]newest", entry.newest), ("[cyan]in use", entry.in_use)) if is_so]
        ages = (_age(base.made_at_s), _age(entry.used_at_s))
        size = _mib(base.size_bytes)
        table.add_row(base.name, *ages, size, str(entry.layers), ", ".join(marks))
    return table


def _layers(found: Inventory) -> Table:
    table = _table("on", "layer", "packages", "used", "size")
    for entry in found.layers:
        on = entry.tree + (f" + {entry.below}" if entry.below else "")
        table.add_row(on, entry.digest[:12], str(entry.packages), _age(entry.used_at_s), _mib(entry.size_bytes))
    return table


def _buildroots(found: Inventory) -> Table:
    table = _table("buildroot", "state", "owner's pid", "age", "size")
    for entry in found.buildroots:
        state = f"[{_STATE_STYLES[entry.state]}]{entry.state}"
        table.add_row(entry.name, state, str(entry.pid), f"{entry.age_s:.0f} s", _mib(entry.size_bytes))
    return table


def _kept(found: Inventory) -> Table:
    table = _table("kept buildroot", "suite", "architecture", "age", "")
    for entry in found.kept:
        one = entry.buildroot
        table.add_row(one.name, one.suite, one.architecture, _age(one.made_at_s), "in use" if entry.in_use else "")
    return table


def _table(long: str, *short: str) -> Table:
    """On a narrow terminal the first column goes on in further lines, and nothing is cut off."""
    columns = (Column(name, no_wrap=True) for name in short)
    return Table(Column(long, overflow="fold"), *columns, box=SIMPLE_HEAD, pad_edge=False)


def _age(since_s: float) -> str:
    age_s = max(0.0, time.time() - since_s)
    units: Iterable[tuple[float, str]] = ((86_400, "d"), (3600, "h"), (60, "min"))
    return next((f"{age_s / unit_s:.0f} {name}" for unit_s, name in units if age_s >= unit_s), f"{age_s:.0f} s")


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):,.0f} MiB"
