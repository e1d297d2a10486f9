"""The phase `output.iso`, which says that there is none."""

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.outputs.disk.asked import asks_for
from deb_bootc_compose.phases.api import PhaseWork
from deb_bootc_compose.phases.bare import BarePhase
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.treefile.outputs import OutputKind
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import DeborchError, ErrorCode


class IsoImage(BarePhase):
    """Debian packages no installer of OSTree commits, and neither bootc nor bootupd: an ISO could install nothing."""

    name = "output.iso"
    needs = ("ostree",)

    def wanted(self, request: ComposeRequest, treefile: ResolvedTreefile | None) -> bool:
        """Raises DeborchError INVALID_INPUT where one is asked for, before anything is made."""
        if asks_for(OutputKind.ISO, request, treefile):
            raise _not_offered()
        return False

    async def inputs(self, work: PhaseWork) -> JsonObject:  # noqa: ARG002
        raise _not_offered()

    async def run(self, work: PhaseWork) -> JsonObject:  # noqa: ARG002
        raise _not_offered()


def _not_offered() -> DeborchError:
    return failure(
        FailureClass.TREEFILE,
        ErrorCode.INVALID_INPUT,
        "ISO images are not offered: Debian packages no installer of OSTree commits that one could start",
        hint="ask for raw instead: it is written to a disk or a USB stick as it is, and boots from there",
    )
