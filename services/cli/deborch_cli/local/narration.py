"""What the local commands say while they work: one line per step, with its time; a spinner on a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.table import Table

from deborch_cli.local.supervisor import Change, Notice
from deborch_cli.output.cells import printable
from deborch_cli.output.printer import stdout

_BAD = frozenset({Change.DIED, Change.START_FAILED})


class Narrator:
    """Tells steps as they begin and end, and remembers how long each took."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or stdout()
        self.took_s: dict[str, float] = {}
        self._began_s: dict[str, float] = {}
        self._status: Status | None = None

    def heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{printable(text)}[/bold]")

    def say(self, text: str, *, style: str = "") -> None:
        self.console.print(printable(text), style=style or None, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.say(f"  ! {text}", style="yellow")

    def notice(self, notice: Notice) -> None:
        """What the supervisor tells."""
        if notice.change in {Change.STARTING, Change.FETCHING}:
            self._began_s.setdefault(notice.child, time.monotonic())
            self._spin(f"{notice.child}: {notice.detail or notice.change}")
        elif notice.change is Change.READY:
            self._rest()
            began_s = self._began_s.pop(notice.child, None)
            self._done(notice.child, time.monotonic() - began_s if began_s is not None else None)
        elif notice.change in _BAD:
            self._rest()
            self.warn(f"{notice.child} {notice.change}: {notice.detail}")
        elif notice.change is Change.STOPPED:
            self.say(f"  · {notice.child} stopped", style="bright_black")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step of ours; its time is kept if it succeeds."""
        began_s = time.monotonic()
        self._spin(name)
        try:
            yield
        finally:
            self._rest()
        self._done(name, time.monotonic() - began_s)

    def summary(self, title: str) -> None:
        """How long each step took, as a table."""
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.add_column("stage")
        table.add_column("seconds", justify="right")
        for name, seconds in self.took_s.items():
            table.add_row(name, f"{seconds:.1f}")
        self.console.print()
        self.console.print(table)

    def _done(self, name: str, seconds: float | None) -> None:
        if seconds is None:  # a part that the supervisor has started again
            self.console.print(f"  [green]✓[/green] {printable(name)} is back")
            return
        self.took_s[name] = seconds
        self.console.print(f"  [green]✓[/green] {printable(name)} [bright_black]{seconds:.1f} s[/bright_black]")

    def _spin(self, text: str) -> None:
        if not self.console.is_terminal:
            return
        if self._status is None:
            self._status = self.console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def _rest(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
