"""How far files are: bars on a terminal, nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

Moved = Callable[[str, int], None]
"""Called with a file's name and how many of its bytes are over there by now."""


def unseen(_name: str, _done_bytes: int) -> None:
    """Progress that nobody looks at."""


@contextmanager
def transfer_bars(verb: str, sizes_bytes: dict[str, int], *, shown: bool) -> Iterator[Moved]:
    """A bar for each file of `sizes_bytes` while the context lasts, on stderr; bars go away when all is done."""
    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield unseen
        return
    progress = Progress(
        TextColumn(f"[bright_black]{verb}[/] {{task.description}}"),
        BarColumn(bar_width=30), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    )  # fmt: skip
    with progress:
        bars = {name: progress.add_task(name, total=max(size, 1)) for name, size in sizes_bytes.items()}

        def moved(name: str, done_bytes: int) -> None:
            progress.update(bars[name], completed=done_bytes)

        yield moved
