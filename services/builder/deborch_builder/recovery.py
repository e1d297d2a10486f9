"""What a daemon that died left behind: its attempts are reported as lost with the host, their files removed."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from deborch_builder.attempt_key import AttemptKey, key_of
from deborch_builder.attempts import host_lost
from deborch_builder.journal import Journal
from deborch_shared.events import new_event
from deborch_shared.events.model import BuildDone
from deborch_shared.worker.spool import Spool

_log = logging.getLogger(__name__)


def recover(host: str, journal: Journal, spool: Spool, work_dir: Path) -> Sequence[AttemptKey]:
    """Give back what was running, clean `work_dir`, and return the attempts that are not to be taken up again.

    Blocks. Runs before anything else uses the spool. A report is on disk before its journal entry goes, so that a
    crash in between tells the hub twice rather than never.
    """
    reported = {key_of(event.data) for _, event in spool.oldest(len(spool)) if isinstance(event.data, BuildDone)}
    left = journal.left_over()
    lost = [key for key in left if key not in reported]
    if lost:
        _log.warning("%d attempts were running when the builder died and are given back", len(lost))
        message = f"builder {host} died while it worked on this"
        spool.add(new_event(host_lost(key, host, message), source=f"/builder/{host}") for key in lost)
    for key in left:
        journal.remove(key)
    if work_dir.exists():
        shutil.rmtree(work_dir)
    work_dir.mkdir(mode=0o755, parents=True)
    return [*reported, *lost]
