"""What apt is asked about build dependencies, the same for installing and for explaining."""

from collections.abc import Mapping
from dataclasses import dataclass

from deb_mock.archives.repositories import WORKSPACE
from deb_mock.dependencies import cross
from deb_mock.layers.store import digest_of
from deb_mock.model import Base, BuildRequest
from deb_mock.plans import relations
from deb_mock.plans.build_plan import is_cross, profiles_of
from deborch_shared.sources import SourceDescription

_MODE_OPTIONS = {"any+all": (), "full": (), "source": (), "any": ("--arch-only",), "all": ("--indep-only",)}
_KNOWN_SOLVER = ("-o", "APT::Solver=internal")
"""apt 3.1 has another by default, which says in other words what it cannot do."""


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that apt's answer depends on, but for the state of the archives."""

    base: Base
    source: SourceDescription
    request: BuildRequest
    settings: tuple[str, ...] = ()
    """Options for apt beside its arguments, from plug-ins."""

    @property
    def dpkg_settings(self) -> tuple[str, ...]:
        """Those that may leave out or change files of packages. The rest decides at most which packages there are."""
        return tuple(each for each in self.settings if each.lower().startswith("dpkg::"))

    @property
    def options(self) -> tuple[str, ...]:
        profiles = ",".join(profiles_of(self.request))
        host = ("--host-architecture", str(self.request.host_architecture)) if is_cross(self.request) else ()
        return (*_MODE_OPTIONS[self.request.mode], *host, *(("-P", profiles) if profiles else ()))

    @property
    def relations(self) -> Mapping[str, str]:
        """With what the request adds."""
        return relations.wanted(self.source, self.request, also=cross.toolchain(self.base, self.request))

    @property
    def dsc(self) -> bytes:
        """To be put into the workspace under `relations.NAME_INSIDE`."""
        return relations.as_dsc(self.source, self.relations)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of apt-get, if apt itself resolves."""
        solver = _KNOWN_SOLVER if self.request.resolver == "apt" else ()
        return ("-y", *solver, *self.options, "build-dep", f"{WORKSPACE}/{relations.NAME_INSIDE}")

    def key(self, base: str, repositories: str) -> str:
        """Names the question: `base` stands for the lists of the suite, `repositories` for those of the extra ones."""
        request = self.request
        stanzas = [(repository.deb822, repository.pin) for repository in request.extra_sources]
        wanted = sorted(self.relations.items())
        options = (self.options, self.settings)
        return digest_of([wanted, options, request.architecture, request.resolver, base, stanzas, repositories])
