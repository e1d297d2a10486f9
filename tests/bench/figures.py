"""The common form of every benchmark's result: one JSON file for programs, one table for people.

{"figures": [{"name", "value", "unit", "bar", "holds"}]}; `bar` is null and `holds` too for what is only compared with.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, None if it could not be. `bar` says in words what it has to be, `holds` whether it is."""

    name: str
    value: float | None
    unit: str
    bar: str | None = None
    holds: bool | None = None

    @classmethod
    def at_most(cls, name: str, value: float, unit: str, limit: float) -> "Figure":
        return cls(name, value, unit, f"at most {limit:g} {unit}".rstrip(), value <= limit)

    @classmethod
    def at_least(cls, name: str, value: float, unit: str, limit: float) -> "Figure":
        return cls(name, value, unit, f"at least {limit:g} {unit}".rstrip(), value >= limit)


def publish(figures: Sequence[Figure], file: Path, title: str) -> bool:
    """Write `file`, show the table; True if every bar holds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=2) + "\n")
    table = Table("figure", "value", "bar", "", title=title)
    for figure in figures:
        table.add_row(*_row(figure))
    Console().print(table, f"written to {file}")
    return all(figure.holds is not False for figure in figures)


def summarise(reports: Path, seconds: Mapping[str, float]) -> bool:
    """Show every bar of the benches, which took `seconds`; True if each bench has its figures and every bar holds."""
    table = Table("bench", "figure", "value", "bar", "", title="Bars")
    all_hold = True
    for name in seconds:
        file = reports / f"{name}.json"
        if not file.exists():
            all_hold = False
            table.add_row(name, "did not come to its end", "", "", "[red]missed")
            continue
        for figure in (Figure(**content) for content in json.loads(file.read_text())["figures"]):
            all_hold = all_hold and figure.holds is not False
            if figure.bar is not None:
                table.add_row(name, *_row(figure))
        table.add_section()
    took = ", ".join(f"{name} {taken_s:.0f} s" for name, taken_s in seconds.items())
    Console().print(table, f"took {took}")
    return all_hold


def _row(figure: Figure) -> tuple[str, str, str, str]:
    value = "not measured" if figure.value is None else f"{figure.value:,.3f} {figure.unit}"
    mark = {True: "[green]holds", False: "[red]missed", None: ""}[figure.holds]
    return figure.name, value, figure.bar or "", mark
