"""What composes there are and how they stand, as the disk says it now."""

from dataclasses import dataclass
from datetime import datetime

from deb_bootc_compose.state.compose_directory import LATEST, ComposeDirectory, all_composes
from deb_bootc_compose.state.layout import State

_STARTED = "STARTED"
_DOOMED = "DOOMED"


@dataclass(frozen=True, slots=True)
class ListedCompose:
    """One compose."""

    compose_id: str
    name: str
    status: str
    """As in its file STATUS; DOOMED if that says STARTED and nobody runs it: it was killed."""
    is_running: bool
    was_killed: bool
    is_kept: bool
    latest_of: str | None
    """The name whose `latest-NAME` points to it."""
    targets: tuple[str, ...]
    failed: tuple[str, ...]
    """Phases of its last run that failed."""
    began_at: datetime | None
    size_bytes: int
    """Of what it delivers."""


def take_inventory(state: State) -> list[ListedCompose]:
    """All composes, oldest first. Damaged ones are there too."""
    latest = {link.readlink().name: link.name.removeprefix(LATEST) for link in state.composes.glob(f"{LATEST}*")}
    found = [_listed(compose, latest.get(compose.compose_id)) for compose in all_composes(state)]
    return sorted(found, key=lambda compose: compose.began_at.timestamp() if compose.began_at else 0.0)


def _listed(compose: ComposeDirectory, latest_of: str | None) -> ListedCompose:
    description = compose.description or {}
    status, is_running = compose.status, compose.is_running
    was_killed = status == _STARTED and not is_running
    failed = tuple(node for node, content in compose.phases().items() if content.get("state") == "failed")
    began_at = description.get("began_at")
    return ListedCompose(
        compose_id=compose.compose_id,
        name=str(description.get("name", "")),
        status=_DOOMED if was_killed else status,
        is_running=is_running,
        was_killed=was_killed,
        is_kept=compose.is_kept,
        latest_of=latest_of,
        targets=tuple(description.get("treefiles", {})),
        failed=failed,
        began_at=datetime.fromisoformat(began_at) if began_at else None,
        size_bytes=sum(path.lstat().st_size for path in compose.tree.rglob("*") if path.is_file()),
    )
