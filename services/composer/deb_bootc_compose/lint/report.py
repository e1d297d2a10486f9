"""What the checks found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.lint.checks import LINTS, CannotCheckError, Lint
from deb_bootc_compose.lint.root import Root
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_TOLD = 20


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check."""

    name: str
    verdict: Verdict
    texts: tuple[str, ...] = ()
    """What is wrong, or why it could not be checked; bounded."""


def lint(root: Root, lints: Mapping[str, Lint] = LINTS) -> list[Finding]:
    """Apply every check to `root`. Reads; blocks: call it in a thread."""
    return [_applied(name, one, root) for name, one in lints.items()]


def _applied(name: str, one: Lint, root: Root) -> Finding:
    try:
        texts = tuple(bounded(text, 500) for text in islice(one.check(root), _TOLD))
    except CannotCheckError as reason:
        return Finding(name, Verdict.NOT_CHECKED, (str(reason),))
    if not texts:
        return Finding(name, Verdict.PASSED)
    return Finding(name, Verdict.FAILED if one.fatal else Verdict.WARNING, texts)


def failed(findings: Iterable[Finding]) -> DeborchError | None:
    """The error for the checks that are fatal and failed; None: there is none."""
    wrong = [finding for finding in findings if finding.verdict is Verdict.FAILED]
    if not wrong:
        return None
    told = "; ".join(f"{finding.name}: {', '.join(finding.texts[:3])}" for finding in wrong)
    return failure(
        FailureClass.LINT,
        ErrorCode.CHECK_FAILED,
        f"the tree breaks rules of bootable containers: {told}",
        hint="mend it by remove-files, add-files or a postprocess script of the treefile",
        checks=[finding.name for finding in wrong],
    )
