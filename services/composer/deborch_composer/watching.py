"""What the engine says of one compose, as reports to the hub, logs, and what the heartbeat tells."""

import logging
from collections.abc import Callable, Sequence

from deborch_composer.compose_key import ComposeKey
from deborch_composer.engine_port import Node, PhaseEnd
from deborch_shared.errors import DeborchError, bounded
from deborch_shared.events.composes import (
    ComposePhaseDone,
    ComposePhaseStarted,
    ComposeStarted,
    PlannedPhase,
    RunningPhase,
)
from deborch_shared.events.model import EventData

_log = logging.getLogger(__name__)
_STEP_CHARACTERS = 400
_MOST_PHASES = 200
UPLOAD = Node("upload")
"""Behind the phases of the engine: what they have made goes to the hub."""


class ReportingWatch:
    """A `Watch` of one attempt."""

    def __init__(
        self,
        key: ComposeKey,
        composer: str,
        submit: Callable[[EventData], None],
        write_log: Callable[[Node, bytes], None],
    ) -> None:
        self._key = key
        self._composer = composer
        self._submit = submit
        self._write_log = write_log
        self._running: dict[Node, RunningPhase] = {}
        self._disk_is_full = False

    def running(self) -> tuple[RunningPhase, ...]:
        """What phases do now."""
        return tuple(self._running.values())[:_MOST_PHASES]

    def planned(self, name: str, nodes: Sequence[Node], *, resumed: bool) -> None:
        phases = tuple(PlannedPhase(phase=node.phase, target=node.target) for node in (*nodes, UPLOAD))
        self._submit(
            ComposeStarted(
                compose_id=self._key.compose_id,
                attempt=self._key.attempt,
                composer=self._composer,
                name=name,
                phases=phases,
                resumed=resumed,
            )
        )

    def began(self, node: Node, tries: int) -> None:
        self._running[node] = RunningPhase(phase=node.phase, target=node.target)
        self._submit(
            ComposePhaseStarted(
                compose_id=self._key.compose_id,
                attempt=self._key.attempt,
                composer=self._composer,
                phase=node.phase,
                target=node.target,
                tries=tries,
            )
        )

    def step(self, node: Node, step: str, done: float, total: float) -> None:
        """Work may begin before its phase does: tools are made for `init`, which takes minutes the first time."""
        if node not in self._running:
            self.began(node, 1)
        self._running[node] = RunningPhase(
            phase=node.phase,
            target=node.target,
            step=bounded(step, _STEP_CHARACTERS),
            done=max(done, 0.0),
            total=max(total, 0.0),
        )

    def log(self, node: Node, chunk: bytes) -> None:
        """A full disk ends the log, not the compose, which will say so itself."""
        if self._disk_is_full:
            return
        try:
            self._write_log(node, chunk)
        except (DeborchError, OSError) as error:
            self._disk_is_full = True
            _log.error("the logs of compose %s end here: %s", self._key, error)

    def ended(self, end: PhaseEnd) -> None:
        self._running.pop(end.node, None)
        self._submit(
            ComposePhaseDone(
                compose_id=self._key.compose_id,
                attempt=self._key.attempt,
                composer=self._composer,
                phase=end.node.phase,
                target=end.node.target,
                state=end.state,
                seconds=max(end.seconds, 0.0),
                failable=end.failable,
                failure_class=end.failure_class,
                message=end.message,
            )
        )
