"""Files that `compose` writes besides, named by the options that rpm-ostree has for them."""

import shutil
from pathlib import Path

from deb_bootc_compose.engine import ComposeResult
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.api import PhaseResult
from deb_bootc_compose.phases.events import PhaseState
from deborch_shared.errors import ErrorCode


def write_requested(result: ComposeResult, *, commit: Path | None, lock: Path | None, changed: Path | None) -> None:
    """Write what was asked for, as far as it was made.

    Raises:
        DeborchError: INVALID_INPUT if the compose has several targets, so that it is not clear which is meant.
    """
    if commit is not None and (tree := _only(result, "ostree", "--write-commitid-to")) is not None:
        commit.write_text(f"{tree.facts['commit']}\n")
    if lock is not None and (gathered := _only(result, "gather", "--write-lockfile-to")) is not None:
        shutil.copyfile(gathered.directory / "lock.json", lock)
    made = [outcome for outcome in result.outcomes if outcome.phase == "ostree" and outcome.state is PhaseState.DONE]
    if changed is not None and made:
        changed.touch()


def _only(result: ComposeResult, phase: str, option: str) -> PhaseResult | None:
    found = [outcome.result for outcome in result.outcomes if outcome.phase == phase and outcome.result is not None]
    if len(found) > 1:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"{option} is for one target, and the compose has {len(found)}",
            hint="choose one with --variant and --architecture",
        )
    return found[0] if found else None
