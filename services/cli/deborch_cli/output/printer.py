"""Where output goes: results on stdout, remarks for people on stderr and only to a terminal's reader."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from deborch_cli.output.cells import harmless, printable
from deborch_cli.output.tables import Sheet, Table, print_to

Data = BaseModel | Mapping[str, Any] | Sequence[BaseModel]


def stdout() -> Console:
    return Console(highlight=False)


def stderr() -> Console:
    return Console(stderr=True, highlight=False)


def emit(data: Data, shown: Callable[[], Table | Sheet], *, as_json: bool) -> None:
    """The result of a command: one JSON document, or a table or sheet made by `shown`."""
    if not as_json:
        print_to(stdout(), shown())
        return
    options = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
    sys.stdout.write(orjson.dumps(_form(data), option=options).decode() + "\n")


def emit_line(data: BaseModel | Mapping[str, Any]) -> None:
    """One line of JSON Lines, at once."""
    sys.stdout.write(orjson.dumps(_form(data)).decode() + "\n")
    sys.stdout.flush()


def emit_text(text: str) -> None:
    """Text as it is, such as a file that was asked for; a terminal gets nothing that it would obey but colours."""
    sys.stdout.write(harmless(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def confirm(data: Data, sentence: str, *, as_json: bool) -> None:
    """What was done: a sentence, or the thing as it is now."""
    if as_json:
        emit(data, lambda: Sheet("", ()), as_json=True)
        return
    console = stdout()
    tick = Text("✓ ", style="bold green") if console.is_terminal and _speaks_unicode(console) else Text()
    console.print(tick + Text(printable(sentence)), soft_wrap=True)


def note(sentence: str, *, as_json: bool = False) -> None:
    """A remark for a person at a terminal, such as what to try next; scripts do not get it."""
    console = stderr()
    if console.is_terminal and not as_json:
        console.print(Text(printable(sentence), style="bright_black"), soft_wrap=True)


def aside(sentence: str) -> None:
    """A remark that scripts get, too: on stderr, so that the result stays what it is."""
    stderr().print(Text(printable(sentence), style="bright_black"), soft_wrap=True)


def _speaks_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def _form(data: Data) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(data, BaseModel):
        return data.model_dump(mode="json")
    if isinstance(data, Mapping):
        return dict(data)
    return [item.model_dump(mode="json") for item in data]
