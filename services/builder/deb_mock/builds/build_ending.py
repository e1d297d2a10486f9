"""How a build ends: a failure gets its stage, its first lines and its class; log and report are kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from deb_mock.builds.report import CANCELED, FAILED, SUCCESSFUL, BuildReport, stages_as_dicts
from deb_mock.failures import FailureClass
from deb_mock.model import Artifact, Stage
from deb_mock.results.diagnosis import Diagnosis, diagnose, last_lines
from deb_mock.results.directory import ResultDirectory, keep_failed, report_name
from deb_mock.stages.steps import Steps
from deborch_shared.errors import DeborchError

_READ_AT_MOST_BYTES = 32 << 20
_DIAGNOSED = (
    FailureClass.COMPILE,
    FailureClass.INSTALL,
    FailureClass.DEPENDENCY_WAIT,
    FailureClass.FETCH,
    FailureClass.KILLED_OOM,
    FailureClass.KILLED_LIMIT,
)
"""Where the log says why. Of a build that was ended from outside, its last lines say what it did."""


@asynccontextmanager
async def told(report: BuildReport, steps: Steps, log: Path) -> AsyncIterator[None]:
    """Around a build: whatever ends it is told in the log, the report and the fields of the error.

    Fields: `stage`, `first_lines` (number, text), `stages`, and with a `failed_dir` in the request `log` and `report`.
    """
    report.begin_log(steps)
    try:
        yield
    except DeborchError as error:
        if error is report.refusal:
            raise
        await asyncio.to_thread(_explain, error, steps, log)
        _keep(report, steps, log, FAILED, error)
        raise
    except asyncio.CancelledError as error:
        if _keep(report, steps, log, CANCELED, None):
            error.add_note(f"log and report are in {report.request.failed_dir}")
        raise


def close_log(report: BuildReport, steps: Steps, log: Path, results: ResultDirectory) -> Artifact:
    """The summary of a build that made its packages; its log among the results."""
    if report.refusal is not None:
        report.refusal.fields["stage"] = Stage.CHECK.value
    report.end_log(steps, _outcome(report), report.refusal)
    return results.add_file(report.log_name, log)


def publish(report: BuildReport, steps: Steps, results: ResultDirectory) -> None:
    """The report beside the log, and everything visible."""
    text = report.as_json(steps, _outcome(report), report.refusal)
    report.artifacts = (*report.artifacts, results.add_text(report_name(report.log_name), text))
    results.publish()


def _outcome(report: BuildReport) -> str:
    return SUCCESSFUL if report.refusal is None else FAILED


def _explain(error: DeborchError, steps: Steps, log: Path) -> None:
    kind = error.fields.get("failure_class")
    tail, first_number = _section_text(steps, log)
    diagnosis = _diagnosis(kind, tail, first_number)
    if kind == FailureClass.COMPILE and steps.failed_in is Stage.BUILD and diagnosis.is_test:
        error.fields["failure_class"] = FailureClass.TEST.value
        error.message = f"the tests of the package failed: {error.message}"
    error.fields["stage"] = steps.failed_in.value if steps.failed_in else ""
    error.fields["step"] = diagnosis.step
    error.fields["first_lines"] = [asdict(line) for line in diagnosis.first_lines]
    error.fields["stages"] = stages_as_dicts(steps.times)


def _diagnosis(kind: object, tail: bytes, first_number: int) -> Diagnosis:
    if kind in _DIAGNOSED:
        return diagnose(tail, first_number=first_number)
    return Diagnosis(last_lines(tail, first_number=first_number), is_test=False)


def _section_text(steps: Steps, log: Path) -> tuple[bytes, int]:
    """The text of the section that was written last, its end if it is very long, and the number of its first line."""
    section = steps.sections[-1] if steps.sections else None
    if section is None:
        return b"", 1
    start = max(section.offset_bytes, section.offset_bytes + section.size_bytes - _READ_AT_MOST_BYTES)
    with log.open("rb") as source:
        number, left = 1, start
        while left > 0 and (chunk := source.read(min(left, 1 << 20))):
            number += chunk.count(b"\n")
            left -= len(chunk)
        return source.read(_READ_AT_MOST_BYTES), number


def _keep(report: BuildReport, steps: Steps, log: Path, outcome: str, error: DeborchError | None) -> bool:
    """As far as there is space: what ended the build must not be hidden by a full disk. Says whether they are kept."""
    with suppress(OSError):
        report.end_log(steps, outcome, error)
        if report.request.failed_dir is None:
            return False
        name, text = report.log_name, report.as_json(steps, outcome, error)
        kept_log, kept_report = keep_failed(report.request.failed_dir, log, name, text, report_name(name))
        if error is not None:
            error.fields["log"], error.fields["report"] = str(kept_log), str(kept_report)
        return True
    return False
