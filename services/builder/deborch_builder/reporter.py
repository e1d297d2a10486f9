"""What a builder reports, and in which order."""

from collections.abc import Sequence

from deborch_shared.clock import Clock
from deborch_shared.events import Event
from deborch_shared.events.model import BuildDone, TaskRefused, TaskStarted
from deborch_shared.worker.reporter import Link, ReportSender, Rules
from deborch_shared.worker.spool import Spool

Report = TaskStarted | TaskRefused | BuildDone


class Reporter(ReportSender):
    """The sender of a builder's reports."""

    def __init__(self, link: Link, spool: Spool, clock: Clock) -> None:
        super().__init__(link, spool, clock, _RULES)


def _without_superseded(events: Sequence[Event]) -> list[Event]:
    """The report of an end says that the attempt began, so its start need not travel in the same flush."""
    ended = {(event.data.task_id, event.data.attempt) for event in events if isinstance(event.data, BuildDone)}
    return [
        event
        for event in events
        if not isinstance(event.data, TaskStarted) or (event.data.task_id, event.data.attempt) not in ended
    ]


_RULES = Rules("/builder/{}", "host", (TaskStarted.TYPE, TaskRefused.TYPE, BuildDone.TYPE), _without_superseded)
