"""What a composer reports, and in which order."""

from deborch_shared.clock import Clock
from deborch_shared.events.composes import (
    ComposeDone,
    ComposePhaseDone,
    ComposePhaseStarted,
    ComposeReleased,
    ComposeStarted,
)
from deborch_shared.worker.reporter import Link, ReportSender, Rules
from deborch_shared.worker.spool import Spool

SOURCE = "/composer/{}"
_TYPES = (ComposeStarted, ComposePhaseStarted, ComposePhaseDone, ComposeDone, ComposeReleased)
_RULES = Rules(SOURCE, "composer", tuple(report.TYPE for report in _TYPES))


class Reporter(ReportSender):
    """The sender of a composer's reports."""

    def __init__(self, link: Link, spool: Spool, clock: Clock) -> None:
        super().__init__(link, spool, clock, _RULES)
