"""What the API works with, wired once in `__main__`."""

from dataclasses import dataclass
from pathlib import Path

from deborch_hub.handlers.compose_port import ComposeCommands
from deborch_hub.handlers.port import Commands
from deborch_hub.store.blobs import BlobStore
from deborch_hub.store.event_feed import EventFeed
from deborch_hub.store.logs import LogStore
from deborch_hub.store.ostree import OstreeStore
from deborch_shared.db import Database


@dataclass(slots=True)
class ApiDeps:
    """`public_url` may be set until the first request: with port 0 it is known only once the hub listens."""

    commands: Commands
    composes: ComposeCommands
    database: Database
    blobs: BlobStore
    logs: LogStore
    ostree: OstreeStore
    feed: EventFeed
    archive_root: Path
    """Holds one directory per target; symlinks in there may point anywhere below its parent."""
    public_url: str
    key_fingerprint: str
