"""What the hub tells this host: assignments and cancels, in the order of its queue, each answered once.

The bus acknowledges a batch when `handle` returns. By then each assignment is in the journal or its report is kept.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import Counter

from deborch_builder.admission import Offer
from deborch_builder.attempt_key import AttemptKey, key_of
from deborch_builder.attempts import Attempts, Ending
from deborch_builder.engine_port import Environment
from deborch_builder.failures import message_of
from deborch_builder.journal import Journal
from deborch_builder.reporter import Report, Reporter
from deborch_shared.contract.states import TaskKind
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event
from deborch_shared.events.model import AssignTask, BuildDone, CancelTask, PrepareEnvironment, TaskRefused, TaskStarted
from deborch_shared.worker.readiness import Readiness

_log = logging.getLogger(__name__)
_assignments = Counter("deborch_builder_assignments_total", "Assignments by what became of them", ["answer"])
_accepted, _refused, _at_once, _repeated = map(_assignments.labels, ("accepted", "refused", "done-at-once", "repeated"))
_REMEMBERED = 20_000


class Commands:
    """The handler of this host's queue."""

    def __init__(
        self,
        offer: Offer,
        readiness: Readiness,
        attempts: Attempts,
        journal: Journal,
        reporter: Reporter,
        prepare: Callable[[Environment], None],
    ) -> None:
        self._offer = offer
        self._prepare = prepare
        self._readiness = readiness
        self._attempts = attempts
        self._journal = journal
        self._reporter = reporter
        self._answered: OrderedDict[AttemptKey, None] = OrderedDict()
        self.draining = False

    def remember(self, keys: Iterable[AttemptKey]) -> None:
        """Answer nothing more on these attempts: they were taken, refused or canceled before."""
        for key in keys:
            self._answered[key] = None
        while len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)

    async def handle(self, events: Sequence[Event]) -> None:
        """Apply `events` in order.

        Raises:
            DeborchError: UNKNOWN_EVENT, for an event that is no command.
        """
        accepted: dict[AttemptKey, AssignTask] = {}
        reports: list[Report] = []
        if any(isinstance(event.data, AssignTask) for event in events):
            await self._readiness.look_again()
        for event in events:
            if isinstance(event.data, AssignTask):
                reports += self._answer(event.data, accepted)
            elif isinstance(event.data, CancelTask):
                self._cancel(key_of(event.data), accepted)
            elif isinstance(event.data, PrepareEnvironment):
                wanted = event.data
                self._prepare(Environment(wanted.suite, wanted.components, wanted.architecture))
            else:
                raise DeborchError(ErrorCode.UNKNOWN_EVENT, f"{event.type} is no command to a host")
        reports += await self._start(list(accepted.values()))
        await self._reporter.report(*reports)

    def _answer(self, task: AssignTask, accepted: dict[AttemptKey, AssignTask]) -> Sequence[Report]:
        key = key_of(task)
        if key in self._answered or key in self._attempts or key in accepted:
            _repeated.inc()
            return ()
        if reason := self._refusal(task, accepted):
            return self._refuse(task, reason)
        if task.kind == TaskKind.NOOP and not task.payload.get("duration_s"):
            self.remember([key])
            _at_once.inc()
            return _done_at_once(task, self._offer.host)
        accepted[key] = task
        return ()

    def _refusal(self, task: AssignTask, accepted: dict[AttemptKey, AssignTask]) -> str | None:
        if self.draining:
            return f"builder {self._offer.host} is draining"
        in_use = [*self._attempts.in_use(), *(one.resources for one in accepted.values())]
        return self._offer.refusal(task, in_use, self._readiness.problem)

    def _refuse(self, task: AssignTask, reason: str) -> Sequence[Report]:
        key = key_of(task)
        _log.info("attempt %s is refused: %s", key, reason)
        self.remember([key])
        _refused.inc()
        return (TaskRefused(task_id=key.task_id, attempt=key.attempt, host=self._offer.host, reason=reason),)

    def _cancel(self, key: AttemptKey, accepted: dict[AttemptKey, AssignTask]) -> None:
        accepted.pop(key, None)
        self._attempts.end(key, Ending.CANCELED)
        self.remember([key])

    async def _start(self, tasks: Sequence[AssignTask]) -> Sequence[Report]:
        if not tasks:
            return ()
        try:
            await asyncio.to_thread(self._journal.add, tasks)
        except (DeborchError, OSError) as error:
            for task in tasks:
                self._journal.remove(key_of(task))
            return [report for task in tasks for report in self._refuse(task, message_of(error))]
        for task in tasks:
            _accepted.inc()
            self.remember([key_of(task)])
            self._attempts.start(task)
        return ()


def _done_at_once(task: AssignTask, host: str) -> Sequence[Report]:
    """A no-op of no duration: nothing can be lost by a crash that its lease would not bring back."""
    return (
        TaskStarted(task_id=task.task_id, attempt=task.attempt, host=host),
        BuildDone(task_id=task.task_id, attempt=task.attempt, host=host, succeeded=True),
    )
