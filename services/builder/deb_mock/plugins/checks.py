"""The results of checks: made of what the plug-ins report, and what a failed one that gates means."""

import time
from collections.abc import Sequence
from pathlib import Path

from deb_mock.failures import FailureClass, failure
from deb_mock.model import CheckResult, CheckStatus
from deb_mock.plugins.api import Check, CheckOptions, CheckReport
from deb_mock.plugins.context import CollectedResults
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_MAX_FINDINGS = 100
_MAX_FINDING_CHARACTERS = 500


def is_gating(plugin: Check) -> bool:
    """Whether a failure of `plugin` ends the build."""
    return isinstance(plugin.options, CheckOptions) and plugin.options.gating


def recorded(plugin: Check, report: CheckReport, results: CollectedResults, stem: str, begun_s: float) -> CheckResult:
    """The result of `plugin`, its report among the artifacts as STEM.CHECK.SUFFIX."""
    name = None
    if report.report:
        name = results.add(f"{stem}.{plugin.name}.{report.suffix}", report.report).name
    findings = tuple(bounded(line, _MAX_FINDING_CHARACTERS) for line in report.findings[:_MAX_FINDINGS])
    return CheckResult(
        plugin.name,
        report.status,
        is_gating(plugin),
        bounded(report.summary, _MAX_FINDING_CHARACTERS),
        findings,
        name,
        time.monotonic() - begun_s,
        plugin.failure_class,
    )


def could_not_run(plugin: Check, error: DeborchError, begun_s: float) -> CheckResult:
    """A check that could not be made has failed: what it would have found is not known."""
    return CheckResult(
        plugin.name,
        CheckStatus.FAIL,
        is_gating(plugin),
        bounded(f"could not run: {error.message}", _MAX_FINDING_CHARACTERS),
        (bounded(f"what to do: {error.hint}", _MAX_FINDING_CHARACTERS),) if error.hint else (),
        None,
        time.monotonic() - begun_s,
        plugin.failure_class,
    )


def verdict(checks: Sequence[CheckResult], result_dir: Path) -> DeborchError | None:
    """The error that gating checks end the build with; its class is that of the first."""
    failed = [check for check in checks if check.gating and check.status is CheckStatus.FAIL]
    if not failed:
        return None
    said = "; ".join(f"{check.name}: {check.summary}" for check in failed)
    return failure(
        FailureClass(failed[0].failure_class),
        ErrorCode.CHECK_FAILED,
        f"built, but refused by {'a check' if len(failed) == 1 else 'checks'}: {bounded(said, 600)}",
        hint=f"the results with the reports are in {result_dir}; mend the package, or make the check advisory",
        checks=tuple(checks),
        result_dir=str(result_dir),
    )
