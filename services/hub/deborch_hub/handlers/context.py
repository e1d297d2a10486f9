"""What the handlers work with, wired once in `__main__`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deborch_hub.domain.placement import Board, Leadership
from deborch_hub.handlers.requirements import Requirements
from deborch_hub.handlers.submission import Submissions
from deborch_hub.handlers.unit_of_work import Transactions
from deborch_hub.store.id_blocks import IdBlocks
from deborch_shared.bus import QueueSpec
from deborch_shared.db import Database
from deborch_shared.ids import Sha256


class Blobs(Protocol):
    """Where the contents of files are."""

    def path_of(self, sha256: Sha256) -> Path: ...


class Registry(Protocol):
    """Tags of images where the images are."""

    async def digest_of(self, image: str, tag: str) -> str | None:
        """Where a tag is; None if there is none."""

    async def tag(self, image: str, tag: str, digest: str) -> None:
        """Point it to a digest that is there."""


class Commits(Protocol):
    """The objects of the OSTree remote."""

    async def first_missing(self, commit: str) -> str | None:
        """An object that the commit needs and that is not there."""


@dataclass(frozen=True, slots=True)
class BuildDefaults:
    """What a task asks of a host unless something better is known."""

    build_cpu: int = 1
    build_memory_bytes: int = 1 << 30
    build_disk_bytes: int = 2 << 30
    fetch_disk_bytes: int = 1 << 30
    build_timeout_s: float = 4 * 3600


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a handler may use."""

    database: Database
    transactions: Transactions
    task_ids: IdBlocks
    requirements: Requirements
    submissions: Submissions
    board: Board
    leadership: Leadership
    blobs: Blobs
    archive_sources: Callable[[str, Sequence[str]], str]
    """The deb822 text by which a buildroot reads the archive of a target with these architectures."""
    wake_publisher: Callable[[], None]
    defaults: BuildDefaults
    source_keyring: Path | None
    declare_host_queue: Callable[[str], Awaitable[None]]
    """See that a host's queue is there before anything is sent to it."""
    declare_queue: Callable[[QueueSpec], Awaitable[None]]
    registry: Registry
    ostree: Commits
    dep_wait_retry_s: float
    heartbeat_interval_s: float
    lease_s: float
