"""What of a failed build's log says why it failed: the first lines that matter, and whether it was a test.

make, dh and dpkg-buildpackage end a failing build with a chain of lines that only say that something failed. The first
of that chain is looked for from the last debhelper step on, and the causes (`failure_signs`) in the lines before it.
The log is foreign: what is shown of it is bounded, and it decides nothing but how a failure is called.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from deb_mock.results.failure_signs import CAUSES, Cause
from deb_mock.stages.log_sections import without_boxes

_WINDOW_LINES = 400
_SHOWN_LINES = 10
_CONTEXT_LINES = 2
_LAST_LINES = 5
_MAX_LINE_BYTES = 400
_CODE = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")


_CONSEQUENCE = re.compile(
    rb"^(?:\S*make)(?:\[\d+\])?: \*\*\* .*(?:Error \d+|Stop\.|fault|Terminated|Killed|Aborted)(?!.*\(ignored\))"
    rb"|^dh_auto_\w+: error: .* returned exit code \d+"
    rb"|^ninja: build stopped: "
    rb"|^dpkg-buildpackage: error: "
)
_NOISE = re.compile(rb"\s*$|^\S*make(?:\[\d+\])?: (?:Entering|Leaving) directory")
_STEP = re.compile(rb"^(?:   |\t| )?(?:debian/rules (?P<target>[\w-]+)|(?P<tool>dh_\w+))(?=\s|$)")
_TEST_STEP = re.compile(rb"(?:override_|execute_(?:before|after)_)?dh_auto_test(?:-arch|-indep)?$")
_FAILED_TARGET = re.compile(rb"\*\*\* \[(?:[^\]:]*:(?:\d+:)? ?)?(?P<target>[^\]]+)\]")
_TEST_TARGET = re.compile(
    rb"(?:(?:override_|execute_(?:before|after)_)?dh_auto_test(?:-arch|-indep)?"
    rb"|tests?|check|check-\w+|test-\w+|run-?tests?|\S*\.log)$"
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log. Numbers start at 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found."""

    first_lines: tuple[LogLine, ...]
    is_test: bool
    step: str = ""
    """The debhelper command or target of debian/rules that ran last."""
    cause: str = ""
    """Name of the first cause in `CAUSES`; empty if there was none."""


def diagnose(log: bytes, *, first_number: int = 1) -> Diagnosis:
    """Why the build that wrote `log` failed; `first_number` is the number of its first line in the whole log."""
    lines = [_CODE.sub(b"", line) for line in without_boxes(log).splitlines()]
    step_at, step = _last_step(lines)
    chain = [number for number in range(step_at, len(lines)) if _CONSEQUENCE.match(lines[number])]
    end = chain[0] if chain else len(lines)
    found = list(_causes(lines, max(step_at, end - _WINDOW_LINES), end))
    if not found and chain:
        found = list(_causes(lines, end, end + 1))
    shown = _chosen(lines, step_at, found, end if chain else None)
    is_test = (
        _TEST_STEP.match(step) is not None
        or any(_is_test_target(lines[number]) for number in chain)
        or (bool(found) and found[0][1].is_test)
    )
    first_lines = tuple(LogLine(first_number + number, _shown(lines[number])) for number in shown)
    return Diagnosis(first_lines, is_test, step.decode("utf-8", "replace"), found[0][1].name if found else "")


def last_lines(log: bytes, *, first_number: int = 1) -> tuple[LogLine, ...]:
    """The end of `log`: what was done last by a build that was ended."""
    lines = without_boxes(log).splitlines()
    chosen = [number for number, line in enumerate(lines) if line.strip()][-_LAST_LINES:]
    return tuple(LogLine(first_number + number, _shown(lines[number])) for number in chosen)


def _last_step(lines: Sequence[bytes]) -> tuple[int, bytes]:
    """Where the last debhelper step begins, and its name; the start if there is none."""
    for number in range(len(lines) - 1, -1, -1):
        match = _STEP.match(lines[number])
        if match is not None:
            return number, match["target"] or match["tool"]
    return 0, b""


def _causes(lines: Sequence[bytes], start: int, end: int) -> Iterator[tuple[int, Cause]]:
    for number in range(start, min(end, len(lines))):
        line = lines[number][:_MAX_LINE_BYTES]
        for cause in CAUSES:
            if cause.expression.search(line):
                yield number, cause
                break


def _chosen(
    lines: Sequence[bytes], start: int, causes: Sequence[tuple[int, Cause]], consequence: int | None
) -> list[int]:
    """The first cause and what follows it, further causes, the first consequence; without a cause, what came last."""
    end = len(lines) if consequence is None else consequence
    if causes:
        first, cause = causes[0]
        around = range(max(first - cause.lines_before, start), min(first + 1 + _CONTEXT_LINES, end))
        wanted: Iterable[int] = dict.fromkeys([first, *around, *(number for number, _ in causes)])
    else:
        last = range(max(start + (start < end - 1), end - 50), end)
        wanted = [number for number in last if not _NOISE.match(lines[number])][-_LAST_LINES:]
    chosen = [number for number in wanted if not _NOISE.match(lines[number])][: _SHOWN_LINES - 1]
    if consequence is not None and consequence not in chosen:
        chosen.append(consequence)
    return sorted(chosen)


def _is_test_target(line: bytes) -> bool:
    match = _FAILED_TARGET.search(line)
    return line.startswith(b"dh_auto_test: error") or (
        match is not None and _TEST_TARGET.match(match["target"]) is not None
    )


def _shown(line: bytes) -> str:
    text = line[:_MAX_LINE_BYTES].decode("utf-8", "replace").rstrip()
    return "".join(character if character.isprintable() or character == "\t" else "�" for character in text)
