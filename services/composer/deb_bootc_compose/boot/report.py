"""What guest.sh wrote, and whether it is what a disk of a commit should say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from deborch_shared.errors import bounded

BOOT, UPGRADED, ROLLED_BACK = "boot", "upgraded", "rolled-back"
_DEPLOYMENT = re.compile(r"(?P<current>\* )?\S+ (?P<commit>[0-9a-f]{64})\.\d+")
_MAX_BYTES = 1 << 20


@dataclass(slots=True)
class StageReport:
    """One start of the guest."""

    stage: str
    cmdline: str = ""
    current: str | None = None
    """The commit that `ostree admin status` stars."""
    others: list[str] = field(default_factory=list)
    access: dict[str, str] = field(default_factory=dict)
    packages: int | None = None
    failed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What one start should report. `package_count`: None where it is not known."""

    commit: str
    package_count: int | None


def parse_report(content: bytes) -> dict[str, StageReport]:
    """By stage, in their order. What is not understood is passed over: it comes from a guest that may be broken."""
    reports: dict[str, StageReport] = {}
    current: StageReport | None = None
    for line in content[-_MAX_BYTES:].decode("utf-8", "replace").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "begin":
            current = reports[rest] = StageReport(rest)
        elif current is not None:
            _take(current, word, rest)
    return reports


def _take(report: StageReport, word: str, rest: str) -> None:
    if word == "cmdline":
        report.cmdline = rest
    elif word == "status":
        _take_deployment(report, rest)
    elif word in {"usr", "etc", "var"}:
        report.access[word] = rest
    elif word == "packages":
        report.packages = int(rest) if rest.isdigit() else None
    elif word == "failed":
        report.failed.append(bounded(rest, 200))
    elif word == "broken":
        report.broken.append(bounded(rest, 500))
    elif word == "end":
        report.ended = True


def _take_deployment(report: StageReport, line: str) -> None:
    match = _DEPLOYMENT.match(line)
    if match is None:
        return
    if match["current"]:
        report.current = match["commit"]
    else:
        report.others.append(match["commit"])


def problems(report: StageReport | None, expected: Expected) -> Iterator[str]:
    """Everything that is not as it should be, in whole sentences."""
    if report is None or not report.ended:
        yield "the machine ended before it reported" if report is None else "the machine ended within its report"
        return
    if " ostree=" not in f" {report.cmdline}":
        yield f"the kernel was started without ostree=: {bounded(report.cmdline, 300)}"
    if report.current != expected.commit:
        yield f"`ostree admin status` stars {report.current or 'nothing'} instead of {expected.commit}"
    for name, wanted in (("usr", "read-only"), ("etc", "writable"), ("var", "writable")):
        if report.access.get(name) != wanted:
            yield f"/{name} is {report.access.get(name, 'not there')} instead of {wanted}"
    if expected.package_count is not None and report.packages != expected.package_count:
        yield f"dpkg knows {report.packages} packages installed instead of {expected.package_count}"
    if report.failed:
        yield f"units failed: {', '.join(report.failed)}"
    yield from report.broken


def what_held(report: StageReport, expected: Expected) -> tuple[str, ...]:
    """What `problems` looked at and found right."""
    packages = () if expected.package_count is None else (f"{expected.package_count} packages",)
    return tuple(
        f"{report.stage}: {what}"
        for what in (
            "ostree= on the kernel command line",
            f"booted {expected.commit}",
            "/usr read-only",
            "/etc and /var writable",
            *packages,
            "no failed units",
        )
    )
