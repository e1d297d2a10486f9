"""What a chain of builds has made so far, as an APT repository in a directory that only its buildroots see.

It is marked trusted: nobody but the chain writes to it, and its address is a directory. It has a priority above
everything else, so that the packages built here win over those of the suite, whatever their version.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from pathlib import Path

from debian.deb822 import Deb822

from deb_mock.model import Artifact, ArtifactKind, ExtraRepository

ReadControl = Callable[[Path], Awaitable[str]]
"""The control file of a .deb. It is foreign, so it is taken apart in a sandbox."""
_ORIGIN = "deb-mock-chain"
_SOURCES = "Types: deb\nURIs: file:{directory}\nSuites: ./\nTrusted: yes\n"
_RELEASE = "Origin: {origin}\nLabel: {origin}\nDate: {date}\nSHA256:\n {digest} {size} Packages\n"


class ChainRepository:
    """Packages are added; each addition makes the indices anew."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stanzas: list[str] = []
        directory.mkdir(mode=0o755)

    @property
    def repositories(self) -> tuple[ExtraRepository, ...]:
        """For the builds to come: none as long as it is empty."""
        if not self._stanzas:
            return ()
        sources = _SOURCES.format(directory=self._directory)
        return (ExtraRepository("chain", sources, pin=f"release o={_ORIGIN}"),)

    async def add(self, artifacts: Iterable[Artifact], read_control: ReadControl) -> None:
        """Add the binary packages among `artifacts`."""
        for artifact in artifacts:
            if artifact.kind is ArtifactKind.DEB:
                await asyncio.to_thread(_place, artifact.path, self._directory / artifact.name)
                self._stanzas.append(_stanza(await read_control(self._directory / artifact.name), artifact))
        await asyncio.to_thread(self._write_indices)

    def _write_indices(self) -> None:
        packages = "\n".join(self._stanzas).encode()
        release = _RELEASE.format(
            origin=_ORIGIN,
            date=formatdate(usegmt=True),
            digest=hashlib.sha256(packages).hexdigest(),
            size=len(packages),
        )
        for name, content in (("Packages", packages), ("Release", release.encode())):
            path = self._directory / name
            path.write_bytes(content)
            path.chmod(0o644)


def _stanza(control: str, artifact: Artifact) -> str:
    stanza = Deb822(control.splitlines())
    for field in ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512"):
        stanza.pop(field, None)
    stanza["Filename"] = f"./{artifact.name}"
    stanza["Size"] = str(artifact.size_bytes)
    stanza["SHA256"] = artifact.sha256
    return str(stanza)


def _place(source: Path, target: Path) -> None:
    """A copy: the results are the user's, who may change them while the chain goes on."""
    shutil.copyfile(source, target)
    target.chmod(0o644)
