"""`deb-mock list` and `deb-mock clean`."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deb_mock.cli.finish import finish
from deb_mock.cli.options import AsJson, CacheDir, StateDir, engine_config
from deb_mock.defaults import DEFAULT_CACHE_DIR, DEFAULT_STATE_DIR
from deb_mock.engine import Engine
from deborch_shared.sandbox.record import records

app = typer.Typer()


@app.command("list")
def list_cached(
    state_dir: StateDir = DEFAULT_STATE_DIR, cache_dir: CacheDir = DEFAULT_CACHE_DIR, as_json: AsJson = False
) -> None:
    """Show cached bases and buildroots in use."""
    config = engine_config(state_dir, cache_dir)
    bases = Engine(config).bases()
    used = records(config.sandboxes_dir)
    if as_json:
        shown = {"bases": [asdict(base) for base in bases], "buildroots": [asdict(entry) for entry in used]}
        print(json.dumps(shown, default=str))  # noqa: T201
        return
    table = Table("base", "suite", "architecture", "age", "dependency layers")
    for base in bases:
        layers = [path for path in (config.layers_dir / base.name).glob("*/*") if path.is_dir()]
        age_days = (time.time() - base.made_at_s) / 86_400
        table.add_row(base.name, base.suite, base.architecture, f"{age_days:.1f} days", str(len(layers)))
    console = Console()
    console.print(table)
    for entry in used:
        state = "in use" if entry.owner.is_alive() else "left by a killed process; deb-mock clean removes it"
        console.print(f"{entry.name}: {state}", highlight=False)


@app.command()
def clean(
    bases: Annotated[bool, typer.Option("--bases", help="Remove bases and dependency layers too.")] = False,
    state_dir: StateDir = DEFAULT_STATE_DIR,
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    as_json: AsJson = False,
) -> None:
    """Remove what killed builds left, and with --bases every base that is not in use."""
    engine = Engine(engine_config(state_dir, cache_dir))

    async def work() -> dict[str, list[str]]:
        recovered = await engine.recover()
        removed = [base.name for base in engine.bases() if bases and await engine.remove_base(base)]
        return {"left behind": [*recovered.sandboxes, *recovered.half_made_bases], "bases": removed}

    result = finish(work(), as_json=as_json)
    if as_json:
        print(json.dumps(result))  # noqa: T201
        return
    for kind, names in result.items():
        print(f"{kind}: {', '.join(names) or 'nothing to remove'}")  # noqa: T201
