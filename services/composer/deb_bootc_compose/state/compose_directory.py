"""One compose on disk, named and laid out as Pungi does it.

    composes/NAME-VERSION-YYYYMMDD[.n|.t|.ci|.d].RESPIN/
        COMPOSE_ID  STATUS
        compose/VARIANT/ARCH/{images,packages,...}  compose/metadata/
        logs/PHASE.VARIANT.ARCH.log
        work/compose.json  work/phases/PHASE.VARIANT.ARCH.json

`latest-NAME` beside it is moved by the promotion alone.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.trees import staging_place
from deb_bootc_compose.state.whole_files import read_json, sync, write_json, write_whole
from deborch_shared import locks
from deborch_shared.errors import DeborchError, ErrorCode

LATEST = "latest-"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9+_.~-]{0,200}\Z")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9+_.~]+")
_MAX_RESPIN = 10_000


@dataclass(frozen=True, slots=True)
class ComposeDirectory:
    """The directory of one compose. Whether it is there is for those that open or make it."""

    state: State
    compose_id: str

    @property
    def path(self) -> Path:
        return self.state.composes / self.compose_id

    @property
    def tree(self) -> Path:
        """What is delivered."""
        return self.path / "compose"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def work(self) -> Path:
        return self.path / "work"

    def place(self, variant: str | None, architecture: str | None) -> Path:
        """Where the deliverables of a target go, or those of the compose."""
        if variant is None or architecture is None:
            return self.tree
        return self.tree / variant / architecture

    @property
    def status(self) -> str:
        """As it was last written; empty if it never was."""
        try:
            return (self.path / "STATUS").read_text().strip()
        except OSError:
            return ""

    def set_status(self, status: str) -> None:
        write_whole(self.path / "STATUS", f"{status}\n".encode())

    @property
    def description(self) -> JsonObject | None:
        """What was asked for, and when; None if it cannot be read."""
        return read_json(self.work / "compose.json")

    def describe(self, description: JsonObject) -> None:
        write_json(self.work / "compose.json", description)

    def phase(self, node: str) -> JsonObject | None:
        """What is known of a phase, by its name and target."""
        return read_json(self.work / "phases" / f"{node}.json")

    def set_phase(self, node: str, content: JsonObject) -> None:
        write_json(self.work / "phases" / f"{node}.json", content)

    def phases(self) -> dict[str, JsonObject]:
        """Everything that `set_phase` wrote."""
        found = {path.stem: read_json(path) for path in sorted((self.work / "phases").glob("[!.]*.json"))}
        return {node: content for node, content in found.items() if content is not None}

    def uses(self) -> set[tuple[str, str]]:
        """Phase and digest of each record that this compose needs."""
        found = self.phases().values()
        return {(str(entry["phase"]), str(entry["inputs_digest"])) for entry in found if entry.get("inputs_digest")}

    @property
    def lock(self) -> Path:
        """Held by whoever runs it."""
        return self.state.locks / "composes" / f"{self.compose_id}.lock"

    def running(self) -> AbstractContextManager[bool]:
        """Be the one that runs it; False if somebody else is."""
        return locks.exclusive_if_free(self.lock)

    @property
    def is_running(self) -> bool:
        return locks.is_held(self.lock)

    @property
    def is_kept(self) -> bool:
        """Whether `gc` has to leave it."""
        return (self.path / "KEEP").exists()


def open_compose(state: State, compose_id: str) -> ComposeDirectory:
    """The compose of that id, or that `latest-NAME` points to.

    Raises:
        DeborchError: NOT_FOUND
    """
    if _ID.match(compose_id):
        path = state.composes / compose_id
        if path.is_symlink() and path.readlink().name == str(path.readlink()):
            compose_id = path.readlink().name
        found = ComposeDirectory(state, compose_id)
        if (found.path / "COMPOSE_ID").is_file():
            return found
    raise failure(
        FailureClass.TREEFILE,
        ErrorCode.NOT_FOUND,
        f"there is no compose {compose_id[:200]!r} in {state.root}",
        hint="`deb-bootc-compose list` shows those that are there; --state-dir names another place",
    )


def all_composes(state: State) -> Iterator[ComposeDirectory]:
    """Every compose that is there, oldest id first."""
    for path in sorted(state.composes.glob("*/COMPOSE_ID")):
        if not path.parent.is_symlink() and _ID.match(path.parent.name):
            yield ComposeDirectory(state, path.parent.name)


def id_prefix(name: str, version: str, day: datetime, suffix: str) -> str:
    """A compose id without its respin, such as `minimal-13-20261127.n`. Dashes separate, so parts have none."""
    parts = [_NOT_IN_ID.sub("_", part).strip("_") or "x" for part in (name, version)]
    return f"{parts[0]}-{parts[1]}-{day:%Y%m%d}{suffix}"


def make_compose(state: State, prefix: str, description: JsonObject, status: str) -> ComposeDirectory:
    """A new compose directory with the next free respin. It appears whole, or not at all."""
    state.composes.mkdir(parents=True, exist_ok=True)
    staging_place(state).mkdir(parents=True, exist_ok=True)
    respin = _next_respin(state, prefix)
    while respin < _MAX_RESPIN:
        compose = ComposeDirectory(state, f"{prefix}.{respin}")
        if _appear(compose, description, status):
            return compose
        respin += 1
    raise failure(
        FailureClass.HOST,
        ErrorCode.CONFLICT,
        f"all {_MAX_RESPIN} compose ids {prefix}.N are taken",
        hint="remove composes with `deb-bootc-compose gc`",
    )


def _next_respin(state: State, prefix: str) -> int:
    respins = [path.name.removeprefix(f"{prefix}.") for path in state.composes.glob(f"{prefix}.*")]
    return max((int(respin) for respin in respins if respin.isdecimal()), default=-1) + 1


def _appear(compose: ComposeDirectory, description: JsonObject, status: str) -> bool:
    draft = ComposeDirectory(compose.state, f"../scratch/staging/compose.{secrets.token_hex(6)}")
    write_whole(draft.path / "COMPOSE_ID", f"{compose.compose_id}\n".encode())
    draft.set_status(status)
    draft.describe(description | {"compose_id": compose.compose_id})
    for directory in (draft.tree, draft.logs):
        directory.mkdir()
    try:
        draft.path.rename(compose.path)
    except OSError:
        if not compose.path.exists():
            raise
        return False
    sync(compose.path.parent)
    return True


def latest_of(state: State, name: str) -> str | None:
    """The compose that `latest-NAME` points to."""
    try:
        return os.readlink(state.composes / f"{LATEST}{name}")  # noqa: PTH115 - as it was written
    except OSError:
        return None


def move_latest(state: State, name: str, compose_id: str) -> None:
    """Let `latest-NAME` point to that compose. Atomic; the last thing that a promotion does.

    Raises:
        DeborchError: NOT_FOUND if there is no such compose.
    """
    open_compose(state, compose_id)
    partial = state.composes / f".latest.{secrets.token_hex(6)}"
    partial.symlink_to(compose_id)
    partial.replace(state.composes / f"{LATEST}{name}")
    sync(state.composes)


def already_running(compose: ComposeDirectory) -> DeborchError:
    """The refusal to run it twice."""
    return failure(
        FailureClass.HOST,
        ErrorCode.CONFLICT,
        f"the compose {compose.compose_id} is running",
        hint="wait for it, or end the process that runs it and resume it then",
    )
