"""What the assignment of each kind of task carries in its `payload`."""

from typing import Literal

from pydantic import Field

from deborch_shared.contract.base import Input, Output
from deborch_shared.contract.builds import UploadedFile

BuildMode = Literal["any+all", "any", "all"]
"""dpkg-buildpackage's -b, -B and -A."""


class ArchiveAccess(Input):
    """An APT repository that a buildroot reads: a deb822 `.sources` stanza whose URIs and Signed-By are complete."""

    name: str
    sources: str
    generation: int = 0


class BuildPackagePayload(Input):
    """Build one source package for one architecture."""

    target: str
    suite: str
    components: tuple[str, ...]
    architecture: str
    mode: BuildMode
    dsc: UploadedFile
    files: tuple[UploadedFile, ...]
    archives: tuple[ArchiveAccess, ...] = ()
    timeout_s: float = Field(4 * 3600, gt=0)


class FetchSourcePayload(Input):
    """Fetch a source package from the Debian suite, verified by apt; the files come back as artifacts."""

    target: str
    suite: str
    components: tuple[str, ...]
    architecture: str
    name: str
    version: str | None = None


class NoopPayload(Input):
    duration_s: float = 0.0


class LogPosition(Output):
    """How many bytes of an attempt's log the hub has."""

    size_bytes: int
