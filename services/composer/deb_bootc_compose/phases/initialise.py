"""The phase `init`: says what the machine lacks before anything is tried, and writes down what was asked for."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Scope
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.state.whole_files import write_json
from deborch_shared.errors import ErrorCode

MIN_FREE_BYTES = 2 << 30
"""A minimal tree, its archive and nothing else."""


class InitPhase(BarePhase):
    """Once, before everything."""

    name = "init"
    scope = Scope.COMPOSE
    cacheable = False

    async def run(self, work: PhaseWork) -> JsonObject:
        require_root()
        require_space(work.state.root)
        for target, treefile in work.treefiles.items():
            path = work.directory / target.variant / target.architecture / "treefile.json"
            content = treefile.model_dump(mode="json", by_alias=True, exclude={"directory"})
            await asyncio.to_thread(write_json, path, content)
        return {}

    def deliverables(self, result: PhaseResult) -> Mapping[str, Path]:
        paths = result.directory.glob("*/*/treefile.json")
        return {str(path.relative_to(result.directory)): path for path in paths}


def require_root(effective_uid: int | None = None) -> None:
    """Refuse to go on without root.

    Raises:
        DeborchError: NEEDS_ROOT
    """
    if (os.geteuid() if effective_uid is None else effective_uid) != 0:
        raise failure(
            FailureClass.HOST,
            ErrorCode.NEEDS_ROOT,
            "a compose needs root: it unpacks trees with files of many owners, in chroots and namespaces",
            hint="run it as root, with sudo or in a virtual machine; `validate` and `show` need no root",
        )


def require_space(directory: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
    """Refuse to begin on a disk that is nearly full.

    Raises:
        DeborchError: DISK_FULL
    """
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < min_free_bytes:
        raise failure(
            FailureClass.HOST,
            ErrorCode.DISK_FULL,
            f"{free_bytes >> 20} MiB are free in {directory}, and a compose needs {min_free_bytes >> 20} MiB at least",
            hint="free some with `deb-bootc-compose gc`, or name another place with --state-dir",
        )
