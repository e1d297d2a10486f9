"""The common form of every benchmark's result: one JSON file for programs, one table for people.

{"figures": [{"name", "value", "unit", "bar", "holds"}]}; `bar` is null and `holds` too for what is only compared with.
"""

import json
from collections.abc import Sequence
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
        mark = {True: "[green]holds", False: "[red]missed", None: ""}[figure.holds]
        value = "not measured" if figure.value is None else f"{figure.value:,.3f} {figure.unit}"
        table.add_row(figure.name, value, figure.bar or "", mark)
    Console().print(table, f"written to {file}")
    return all(figure.holds is not False for figure in figures)
