"""Which disks a compose makes: those that are asked for, and what they and the tests are made of."""

from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


def asks_for(kind: OutputKind, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
    """Whether this compose has the output itself."""
    if treefile is None:
        return False
    return kind in (request.outputs if request.outputs is not None else treefile.outputs)


def is_tested(request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
    """Whether this variant is to be booted: what never boots by itself is left alone."""
    return bool(request.tests) and treefile is not None and not treefile.container


def needs_raw(request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
    """A raw disk is what qcow2 is converted from and what is booted."""
    return (
        asks_for(OutputKind.RAW, request, treefile)
        or asks_for(OutputKind.QCOW2, request, treefile)
        or is_tested(request, treefile)
    )
