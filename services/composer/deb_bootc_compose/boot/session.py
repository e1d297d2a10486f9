"""One guest from power on to power off, and what it said."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from deb_bootc_compose.boot.console import Console, Hopeless
from deb_bootc_compose.boot.guest import credentials_of_test
from deb_bootc_compose.boot.machine import Accelerator, Machine
from deb_bootc_compose.boot.report import StageReport, parse_report
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.tools.port import Tools
from deborch_shared.errors import DeborchError, ErrorCode

_ATTEMPTS = 3
_START_TAKES_AT_MOST_S = {Accelerator.KVM: 180.0, Accelerator.TCG: 900.0}


@dataclass(frozen=True, slots=True)
class Told:
    """What came out of a guest: reports by stage, and the end of its console."""

    reports: dict[str, StageReport]
    console_end: str


async def run_guest(
    tools: Tools, machine: Machine, *, then: str, starts: int, on_output: Callable[[bytes], None]
) -> Told:
    """Start `machine`, which may start `starts` times by itself, and wait for its end.

    Raises:
        DeborchError: CHECK_FAILED or PROCESS_TIMEOUT with the last lines of the console.
    """
    report = machine.scratch / "report"
    whole = replace(machine, credentials=credentials_of_test(then=then), report=report)
    for attempt in range(1, _ATTEMPTS + 1):
        await asyncio.to_thread(report.write_bytes, b"")
        console = Console(on_output)
        try:
            await _run(tools, whole, console, _START_TAKES_AT_MOST_S[whole.accelerator] * starts)
            break
        except DeborchError:
            if attempt == _ATTEMPTS or not (console.is_starved or console.needs_tcg):
                raise
            if console.needs_tcg:
                whole = replace(whole, accelerator=Accelerator.TCG)
                on_output(b"\nKVM gave up: it is started again without\n")
            else:
                on_output(b"\nthe host had no time for the guest's timer: it is started again\n")
    return Told(parse_report(await asyncio.to_thread(report.read_bytes)), console.last_lines())


async def _run(tools: Tools, whole: Machine, console: Console, limit_s: float) -> None:
    try:
        await tools.run(
            whole.command(), bound=whole.bound(), env=whole.environment(), on_output=console.take, timeout_s=limit_s
        )
    except Hopeless as error:
        raise did_not_boot(str(error), console.last_lines()) from error
    except DeborchError as error:
        if error.code is ErrorCode.PROCESS_TIMEOUT:
            raise _too_slow(limit_s, whole.accelerator, console) from error
        if error.fields.get("reason") == "exit":
            raise did_not_boot("qemu failed", console.last_lines()) from error
        raise


def did_not_boot(what: str, console_end: str, **fields: object) -> DeborchError:
    """The error of every test here."""
    return failure(
        FailureClass.BOOT,
        ErrorCode.CHECK_FAILED,
        f"the disk did not pass: {what}\nlast lines of its console:\n{console_end or '(nothing)'}",
        hint="the log of the phase has the whole console; `deb-bootc-compose boot` starts the disk on your terminal",
        **fields,
    )


def _too_slow(limit_s: float, accelerator: Accelerator, console: Console) -> DeborchError:
    slow = ", without KVM," if accelerator is Accelerator.TCG else ""
    return failure(
        FailureClass.BOOT,
        ErrorCode.PROCESS_TIMEOUT,
        f"the disk did not report within {limit_s:g} s{slow}\nlast lines of its console:\n{console.last_lines()}",
        hint="the log of the phase has the whole console; a treefile without console=ttyS0 in `kargs:` shows nothing",
    )


def scratch_in(directory: Path) -> Path:
    """A new directory for what a guest writes."""
    scratch = directory / "machine"
    scratch.mkdir()
    return scratch
