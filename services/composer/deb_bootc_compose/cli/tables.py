"""Tables that are never cut: ids, versions and names are there to be copied, on a terminal of 80 columns too."""

from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_UNBOUNDED = 10_000


def whole_lines(console: Console, table: Table) -> list[Text]:
    """The lines of a table, each as wide as it needs to be."""
    options = console.options.update(max_width=_UNBOUNDED)
    options = options.update_width(console.measure(table, options=options).maximum)
    lines = Segment.split_lines(console.render(table, options))
    return [_stripped(Text.assemble(*[(part.text, part.style or "") for part in line])) for line in lines]


def print_whole(console: Console, table: Table) -> None:
    """Print a table; where the terminal is too narrow, its lines flow on."""
    for line in whole_lines(console, table):
        console.print(line, soft_wrap=True)


def _stripped(line: Text) -> Text:
    line.rstrip()
    return line
