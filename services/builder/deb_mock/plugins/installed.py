"""What is installed in a buildroot, as dpkg and the verified indices of apt know it."""

from dataclasses import asdict, dataclass
from weakref import WeakKeyDictionary

from debian.deb822 import Deb822

from deb_mock.plugins.api import Buildroot

_FIELDS = (
    "binary:Package",
    "Package",
    "Version",
    "Architecture",
    "source:Package",
    "source:Version",
    "db:Status-Status",
)
_FORMAT = "\t".join(f"${{{field}}}" for field in _FIELDS) + "\n"


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A binary package that is installed."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    sha256: str | None
    """Of the .deb, from the index that apt verified; None if it is in no index any more."""

    def __str__(self) -> str:
        return f"{self.name}:{self.architecture}={self.version}"

    def as_dict(self) -> dict[str, str | None]:
        """For JSON."""
        return asdict(self)


_first_looks: WeakKeyDictionary[Buildroot, tuple[InstalledPackage, ...]] = WeakKeyDictionary()


async def packages_at_opening(buildroot: Buildroot) -> tuple[InstalledPackage, ...]:
    """For the hook `buildroot_opened`: one look for all plug-ins that ask."""
    if buildroot not in _first_looks:
        _first_looks[buildroot] = await installed_packages(buildroot)
    return _first_looks[buildroot]


async def installed_packages(buildroot: Buildroot) -> tuple[InstalledPackage, ...]:
    """Every installed package, by name."""
    listed = await buildroot.run(["dpkg-query", "-W", "-f", _FORMAT], quiet=True)
    rows = [line.split("\t") for line in listed.output.decode().splitlines()]
    rows = [row for row in rows if row[6] == "installed"]
    known = await buildroot.run(
        ["apt-cache", "show", *(f"{name}={version}" for name, _, version, *_ in rows)], quiet=True, check=False
    )
    hashes = {
        (stanza.get("Package"), stanza.get("Version"), stanza.get("Architecture")): stanza.get("SHA256")
        for stanza in Deb822.iter_paragraphs(known.output.decode("utf-8", "replace").splitlines(), use_apt_pkg=False)
    }
    return tuple(
        InstalledPackage(
            package, version, architecture, source, source_version, hashes.get((package, version, architecture))
        )
        for _, package, version, architecture, source, source_version, _ in rows
    )
