"""The facts that phases leave for each other: the seams of the engine.

All paths are relative to the directory of the phase.
"""

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """Frozen, strict, JSON. Only what is the same whenever the inputs are the same: no times, no paths of the host."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BuildFacts(Facts):
    """Of `build`: an APT repository of what was built, in `repository/` (not there if nothing was)."""

    packages: dict[str, str]
    """File name: SHA-256."""


class GatherFacts(Facts):
    """Of `gather`.

    Beside: `lock.json`, `packages.json`, `sources.json`, and `repository/` with the .debs, signed by
    `repository/key.asc`.
    """

    lock_sha256: str
    package_count: int
    download_bytes: int
    installed_kib: int


class OstreeFacts(Facts):
    """Of `ostree`: a commit in the work repository of the state directory (`State.work_repository`)."""

    commit: str
    content_checksum: str
    ref: str
    version: str
    parent: str | None
    kernel_version: str | None
    package_count: int
    tree_bytes: int
    epoch: int
    """SOURCE_DATE_EPOCH of the commit."""


class OciFacts(Facts):
    """Of `output.ociarchive`: `NAME.ociarchive`, and the layout it was made from in `oci/`."""

    archive: str
    archive_sha256: str
    manifest_digest: str
    layers: tuple[tuple[str, int], ...]
    """Digest and compressed bytes."""


class IndexFacts(Facts):
    """Of `output.index`: a layout `VARIANT/` for each variant with several architectures."""

    digests: dict[str, str]
    """Variant: digest of its index."""


class FileFacts(Facts):
    """Of the outputs that are one file: `output.raw`, `output.qcow2`, `output.tar`, `output.iso`."""

    path: str
    sha256: str
    size_bytes: int


class RegistryFacts(Facts):
    """Of `output.registry`: pushed by digest; tags move with the promotion."""

    repository: str
    manifest_digest: str
    image_bytes: int
    """Of all layers, as they are kept there."""


class TestFacts(Facts):
    """Of `test.boot` and `test.upgrade`."""

    __test__ = False

    checks: tuple[str, ...]
    """What was seen to hold."""
