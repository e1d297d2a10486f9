"""Tables and sheets of facts, each for a terminal (rich) or for a pipe (aligned, no colour, nothing cut off)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from deborch_cli.output import cells
from deborch_cli.output.cells import Cell


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; `empty` is said when there is no row."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str
    title: str = ""

    def rich(self) -> RenderableType:
        """Only columns with something in them."""
        if not self.rows:
            return Text(self.empty, style="bright_black")
        table = RichTable(
            box=box.SIMPLE_HEAD, title=self.title or None, title_justify="left", title_style="bold",
            header_style="bright_black", pad_edge=False, show_edge=False,
        )  # fmt: skip
        columns = [
            (heading, cells_below)
            for heading, *cells_below in zip(self.headings, *self.rows, strict=True)
            if any(cells.plain(cell) != cells.NOTHING for cell in cells_below)
        ]
        for heading, (sample, *_) in columns:
            right = isinstance(sample, cells.Size | cells.Duration | int | float)
            whole = right or isinstance(sample, cells.Identity | cells.Age)
            table.add_column(heading, justify="right" if right else "left", overflow="fold", no_wrap=whole)
        for row in zip(*(cells_below for _, cells_below in columns), strict=True):
            table.add_row(*map(cells.rich, row))
        return table

    def plain(self) -> str:
        """Every column, empty or not: who cuts it up counts on it."""
        if not self.rows:
            return ""
        lines = [[heading.upper().replace(" ", "-") for heading in self.headings]]
        lines += [[cells.plain(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """The facts about one thing, followed by tables; facts that are not known are left out."""

    title: str
    facts: Sequence[tuple[str, Cell]]
    tables: Sequence[Table] = field(default=())

    def rich(self) -> RenderableType:
        grid = RichTable.grid(padding=(0, 2))
        grid.add_column(style="bright_black", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in self._known():
            grid.add_row(name, cells.rich(value))
        page = RichTable.grid()
        page.add_row(Text(self.title, style="bold"))
        page.add_row(grid)
        for table in self._filled():
            page.add_row("")
            page.add_row(table.rich())
        return page

    def plain(self) -> str:
        facts = [f"{name}: {cells.plain(value)}" for name, value in self._known()]
        tables = ["", *(part for table in self._filled() for part in (table.title + ":", table.plain(), ""))]
        return "\n".join([cells.printable(self.title), *facts, *tables]).rstrip()

    def _known(self) -> list[tuple[str, Cell]]:
        return [(name, value) for name, value in self.facts if cells.plain(value) != cells.NOTHING]

    def _filled(self) -> list[Table]:
        return [table for table in self.tables if table.rows]


def print_to(console: Console, shown: Table | Sheet) -> None:
    """Print for a terminal or, if the console is none, for a pipe."""
    if console.is_terminal:
        console.print(shown.rich())
    elif text := shown.plain():
        console.file.write(text + "\n")
