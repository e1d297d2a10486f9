"""What a daemon that died left behind: its composes are given back, to be resumed, and its files removed."""

import logging
import shutil
from pathlib import Path

from deborch_composer.compose_key import ComposeKey
from deborch_composer.composes import released
from deborch_composer.journal import Journal
from deborch_composer.reporter import SOURCE
from deborch_shared.events import new_event
from deborch_shared.events.composes import ComposeDone, ComposeReleased
from deborch_shared.worker.spool import Spool

_log = logging.getLogger(__name__)


def recover(composer: str, journal: Journal, spool: Spool, work_dir: Path) -> None:
    """Give back what was running, and clean `work_dir`; what the engine has finished stays in its own directory.

    Blocks. Runs before anything else uses the spool. A report is on disk before its journal entry goes, so that a
    crash in between tells the hub twice rather than never.
    """
    ends = (ComposeDone, ComposeReleased)
    said = [event.data for _, event in spool.oldest(len(spool)) if isinstance(event.data, ends)]
    reported = {ComposeKey(end.compose_id, end.attempt) for end in said}
    left = journal.left_over()
    lost = [key for key in left if key not in reported]
    if lost:
        _log.warning("%d composes were running when the composer died and are given back", len(lost))
        message = f"composer {composer} died while it worked on this"
        source = SOURCE.format(composer)
        spool.add(new_event(released(key, composer, message), source=source) for key in lost)
    for key in left:
        journal.remove(key)
    if work_dir.exists():
        shutil.rmtree(work_dir)
    work_dir.mkdir(mode=0o755, parents=True)
