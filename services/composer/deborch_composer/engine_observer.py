"""Events of deb_bootc_compose, as what our port tells."""

import deb_bootc_compose.phases.events as engine
from deb_bootc_compose.phases.api import Target
from deborch_composer.engine_port import Node, PhaseEnd, Watch
from deborch_composer.failures import failure_class_of, message_of


class EngineObserver:
    """An `Observer` of the engine for one `Watch`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def on_event(self, event: engine.ComposeEvent) -> None:
        watch = self._watch
        match event:
            case engine.ComposeStarted():
                nodes = [_node(phase, target) for phase, target in event.phases]
                watch.planned(event.compose_id, nodes, resumed=event.resumed)
            case engine.PhaseStarted():
                watch.began(_node(event.phase, event.target), event.attempt)
            case engine.PhaseProgress():
                watch.step(_node(event.phase, event.target), event.step, event.done, event.total)
            case engine.PhaseLog():
                watch.log(_node(event.phase, event.target), event.chunk)
            case engine.PhaseDone():
                watch.ended(_end(event))
            case _:
                pass


def _node(phase: str, target: Target | None) -> Node:
    return Node(phase, str(target) if target else "")


def _end(event: engine.PhaseDone) -> PhaseEnd:
    return PhaseEnd(
        node=_node(event.phase, event.target),
        state=event.state.value,  # type: ignore[arg-type] # a phase does not end waiting or running
        seconds=event.seconds,
        failable=event.failable,
        failure_class=failure_class_of(event.error) if event.error else "",
        message=message_of(event.error) if event.error else event.note,
    )
