"""Plug-ins on the command line: `--plugin NAME[:KEY=VALUE,...]`, and the checks that they made."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from deb_mock.engine_config import PluginSetting
from deb_mock.failures import FailureClass, failure
from deb_mock.model import CheckResult, CheckStatus
from deborch_shared.errors import ErrorCode, bounded

PluginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="NAME[:KEY=VALUE,...]: use a plug-in, with options; a key again makes a list; required=no lets it fail.",
    ),
]
_SHOWN_FINDINGS = 10
_STYLES = {CheckStatus.PASS: "green", CheckStatus.WARN: "yellow", CheckStatus.FAIL: "bold red"}
_NO = frozenset({"no", "false", "off", "0"})


def plugin_setting(text: str) -> PluginSetting:
    """`text` as a setting; the plug-in itself checks the options.

    Raises:
        DeborchError: INVALID_INPUT
    """
    name, _, rest = text.partition(":")
    options: dict[str, str | list[str]] = {}
    for word in filter(None, rest.split(",")):
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                f"--plugin {bounded(text, 200)!r}: {bounded(word, 80)!r} is not KEY=VALUE",
                hint="write --plugin NAME:KEY=VALUE,KEY=VALUE; deb-mock plugin list --options NAME shows the keys",
            )
        before = options.get(key)
        if before is None:
            options[key] = value
        else:
            options[key] = [*(before if isinstance(before, list) else [before]), value]
    required = str(options.pop("required", "yes")).lower() not in _NO
    return PluginSetting(name, required=required, options=options)


def show_checks(checks: Iterable[CheckResult]) -> None:
    """A line for each check, and the first of what it found, on stderr."""
    console = Console(stderr=True)
    for check in checks:
        line = Text(f"{check.wall_s:8.2f} s  {check.name}: ")
        line.append(check.status.value, style=_STYLES[check.status])
        line.append(f"  {check.summary}" + ("" if check.gating else "  (advisory)"))
        console.print(line, soft_wrap=True)
        for finding in check.findings[:_SHOWN_FINDINGS]:
            console.print(Text(f"              {finding}"), soft_wrap=True)
        if len(check.findings) > _SHOWN_FINDINGS:
            more = len(check.findings) - _SHOWN_FINDINGS
            console.print(f"              and {more} more in {check.report or 'the result'}", highlight=False)
