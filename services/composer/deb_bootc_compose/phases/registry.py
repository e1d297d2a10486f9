"""Finds the phases that are installed: entry points of the group `deb_bootc_compose.phases`."""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.api import Phase
from deborch_shared.errors import DeborchError, ErrorCode, bounded

GROUP = "deb_bootc_compose.phases"
_MEMBERS = (
    "name",
    "scope",
    "needs",
    "after",
    "cacheable",
    "exclusive",
    "version",
    "wanted",
    "failable",
    "inputs",
    "run",
)

Phases = Mapping[str, Phase]


def installed_phases() -> Phases:
    """Every phase by its name.

    Raises:
        DeborchError: PLUGIN_FAILED if one cannot be loaded, is no phase, or has the name of another.
    """
    return named(_load(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name))


def named(phases: Iterable[Phase]) -> Phases:
    """`phases` by name.

    Raises:
        DeborchError: PLUGIN_FAILED if two have the same name.
    """
    found: dict[str, Phase] = {}
    for phase in phases:
        if phase.name in found:
            raise _refused(f"two phases are named {phase.name}", "remove one of the two distributions")
        found[phase.name] = phase
    return found


def _load(point: EntryPoint) -> Phase:
    of = f" of {point.dist.name}" if point.dist else ""
    try:
        phase = point.load()()
    except Exception as error:
        reason = bounded(f"{type(error).__name__}: {error}", 500)
        raise _refused(
            f"the phase {point.name}{of} cannot be loaded: {reason}", "mend or remove that plug-in"
        ) from error
    missing = [member for member in _MEMBERS if not hasattr(phase, member)]
    if missing:
        raise _refused(f"{point.value}{of} is no phase: it lacks {', '.join(missing)}", "inherit from BarePhase")
    if not isinstance(phase.needs, tuple) or not isinstance(phase.after, tuple):
        raise _refused(f"needs and after of the phase {point.name}{of} are no tuples", "write ('ostree',)")
    checked: Phase = phase
    return checked


def _refused(message: str, hint: str) -> DeborchError:
    return failure(FailureClass.HOST, ErrorCode.PLUGIN_FAILED, message, hint=hint)
