"""What may differ from one installation to another, each with its default and the reason for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchivePolicy:
    """How archives are published."""

    versions_listed: int = 1
    """How many versions of a package an index lists, newest first by dpkg's order. One, as in Debian's own suites;
    older ones stay in the pool and in the snapshots that listed them."""
    by_hash_generations: int = 4
    """For how many further publications an index stays reachable by its digest, for clients that began to update
    before. Four outlast an update that runs while builds are published one after the other."""
    keep_snapshots: int | None = None
    """How many snapshots stay readable; None: all, so that any past build can be done again."""
    origin: str = "deb-orchestrator"
    """The Origin of Release, by which apt's preferences can pin the archive."""

    def __post_init__(self) -> None:
        if self.versions_listed < 1 or self.by_hash_generations < 0 or (self.keep_snapshots or 1) < 1:
            raise ValueError("an archive lists at least one version and keeps at least one snapshot")
