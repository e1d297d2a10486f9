"""Who builds source packages for a compose: the port `builds` of `PhaseWork.services`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.treefile.packages import SourceBuild
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

BUILDS = "builds"
"""The key in `PhaseWork.services`."""


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What is to be built. The treefile says for which suite, and in `build` by which target and for how long."""

    treefile: ResolvedTreefile
    compose_id: str
    """The same when a killed compose is resumed: what was asked for then can be found again."""

    @property
    def sources(self) -> Sequence[SourceBuild]:
        return self.treefile.sources

    @property
    def architecture(self) -> str:
        """What the packages are for; packages for all architectures are wanted too."""
        return self.treefile.architecture


class Builds(Protocol):
    """Builds source packages and hands over the binary packages."""

    async def identify(self, order: BuildOrder) -> JsonObject:
        """What decides the packages, such as versions and digests of the sources; asked before each compose.

        As long as the answer is the same, what was built for it is used again and nothing is built. So there are
        no times and no ids of builds in it. It takes a second at most, for a compose of which nothing has changed.

        Raises:
            DeborchError: with a `failure_class`, such as BUILD with NOT_FOUND for a source that is not there.
        """

    async def build(self, order: BuildOrder, results: Path, progress: Progress) -> None:
        """Build all that `identify` named, and put the .deb files into the empty directory `results`.

        Other files there are ignored. Cancellation cancels the builds.

        Raises:
            DeborchError: BUILD_FAILED of class BUILD with the end of the log, or FETCH_FAILED, which is tried again.
        """
