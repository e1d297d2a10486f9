"""Runs the phases of a compose in the order of its graph: one at a time, or as many at once as there are workers.

What fails does not end what goes on for other targets, unless `fail_fast` is asked for. What needs or comes after
something that failed and is not failable is not run: nothing is promoted of a compose that is not whole.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.api import PhaseResult, Target
from deb_bootc_compose.phases.context import ComposeRun
from deb_bootc_compose.phases.events import FINISHED, PhaseDone, PhaseState
from deb_bootc_compose.phases.graph import Node
from deb_bootc_compose.phases.one_phase import Finished, OnePhase
from deborch_shared.cancellation import to_the_end
from deborch_shared.errors import DeborchError, ErrorCode

_CANCEL_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one phase ended."""

    phase: str
    target: Target | None
    state: PhaseState
    seconds: float = 0.0
    result: PhaseResult | None = None
    error: DeborchError | None = None
    failable: bool = False
    note: str = ""
    """Why it was skipped."""

    @property
    def is_fatal(self) -> bool:
        """Whether the compose is doomed by it."""
        return self.state is PhaseState.FAILED and not self.failable


class Runner:
    """One run of one graph. `outcomes` fills as phases end."""

    def __init__(self, run: ComposeRun) -> None:
        self._run = run
        self.outcomes: dict[Node, Outcome] = {}
        self._running: dict[asyncio.Task[None], Node] = {}
        for node, why in run.graph.skipped.items():
            self._end(Outcome(node.phase, node.target, PhaseState.SKIPPED, note=why))

    async def run(self) -> None:
        """Run everything that can be. Failures are in `outcomes`; a cancellation ends all phases, then passes on."""
        try:
            while self._start_what_can() or self._running:
                if not self._running:
                    continue  # something was skipped: look at what waited for it
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del self._running[task]
                    task.result()
                if self._run.request.fail_fast and any(outcome.is_fatal for outcome in self.outcomes.values()):
                    await self._cancel_all()
        finally:
            await to_the_end(self._cancel_all())

    def _start_what_can(self) -> bool:
        """Start what is ready as far as there is room, and skip what cannot be run any more; whether anything moved."""
        moved = False
        for node in self._run.graph.order:
            if node in self.outcomes or node in self._running.values():
                continue
            why = self._hindrance(node)
            if why is not None:
                self._end(Outcome(node.phase, node.target, PhaseState.SKIPPED, note=why))
                moved = True
            elif self._is_ready(node) and self._has_room(node):
                task = asyncio.create_task(self._one(node), name=str(node))
                self._running[task] = node
                moved = True
        return moved

    def _hindrance(self, node: Node) -> str | None:
        """What makes it impossible to run `node`, in this run or for good."""
        for other in sorted(self._run.graph.waits[node], key=str):
            outcome = self.outcomes.get(other)
            if outcome is None or outcome.state in FINISHED:
                continue
            if other in self._run.graph.needs[node] or outcome.is_fatal or self._hides_a_failure(other):
                return f"{other} is {outcome.state}"
        if self._run.request.fail_fast and any(outcome.is_fatal for outcome in self.outcomes.values()):
            return "--fail-fast"
        return None

    def _hides_a_failure(self, node: Node) -> bool:
        """Whether `node` was skipped because something failed that the compose cannot do without."""
        if node not in self._run.graph.waits:
            return False
        outcome = self.outcomes.get(node)
        if outcome is None or outcome.state in FINISHED:
            return False
        return outcome.is_fatal or any(self._hides_a_failure(other) for other in self._run.graph.waits[node])

    def _is_ready(self, node: Node) -> bool:
        return all(other in self.outcomes for other in self._run.graph.waits[node])

    def _has_room(self, node: Node) -> bool:
        running = [self._run.phases[other.phase] for other in self._running.values()]
        if any(phase.exclusive for phase in running) or (running and self._run.phases[node.phase].exclusive):
            return False
        return len(running) < self._run.request.workers

    async def _one(self, node: Node) -> None:
        began_s = self._run.clock.monotonic_s()
        failable = self._run.phases[node.phase].failable(self._run.treefile_of(node))

        async def ended(state: PhaseState, finished: Finished | None = None, error: DeborchError | None = None) -> None:
            seconds = round(self._run.clock.monotonic_s() - began_s, 3)
            result = finished.result if finished else None
            await to_the_end(asyncio.to_thread(self._keep, node, state, seconds, finished, error))
            self._end(Outcome(node.phase, node.target, state, seconds, result, error, failable))

        try:
            finished = await OnePhase(self._run, node).finish()
        except DeborchError as error:
            await ended(PhaseState.FAILED, error=error)
        except asyncio.CancelledError:
            await ended(PhaseState.CANCELED, error=_canceled(node))
            raise
        else:
            self._run.results[node] = finished.result
            await ended(PhaseState.REUSED if finished.reused else PhaseState.DONE, finished)

    def _keep(
        self, node: Node, state: PhaseState, seconds: float, finished: Finished | None, error: DeborchError | None
    ) -> None:
        """Write down in the compose what became of it: for `resume`, `list` and `gc`."""
        content: JsonObject = {
            "phase": node.phase,
            "target": str(node.target) if node.target else None,
            "state": state,
            "seconds": seconds,
            "error": {"code": error.code, "message": error.message, "hint": error.hint} if error else None,
        }
        if finished:
            result = finished.result
            content |= {"inputs_digest": result.inputs_digest, "facts": result.facts, "basis": finished.basis}
        with suppress(OSError):  # a full disk: the record itself is whole, and is found by its inputs
            self._run.compose.set_phase(str(node), content)

    def _end(self, outcome: Outcome) -> None:
        self.outcomes[Node(outcome.phase, outcome.target)] = outcome
        facts = outcome.result.facts if outcome.result else {}
        self._run.observer.on_event(
            PhaseDone(
                outcome.phase,
                outcome.target,
                outcome.state,
                outcome.seconds,
                facts,
                outcome.error,
                outcome.failable,
                outcome.note,
            )
        )

    async def _cancel_all(self) -> None:
        """Again each second until all have ended: a phase may swallow a cancellation."""
        while self._running:
            for task in self._running:
                task.cancel()
            done, _ = await asyncio.wait(self._running, timeout=_CANCEL_AGAIN_S)
            for task in done:
                node = self._running.pop(task)
                if node not in self.outcomes:
                    self._end(Outcome(node.phase, node.target, PhaseState.CANCELED, error=_canceled(node)))


def _canceled(node: Node) -> DeborchError:
    return failure(
        FailureClass.CANCELED,
        ErrorCode.CANCELED,
        f"the phase {node} was canceled",
        hint="`deb-bootc-compose resume` goes on with what is not finished",
    )
