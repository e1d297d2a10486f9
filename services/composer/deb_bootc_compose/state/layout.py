"""Names of everything in the state directory, in one place."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class State:
    """A state directory. Nothing is made here; whoever writes makes what it needs."""

    root: Path

    @property
    def debs(self) -> Path:
        """Every .deb once, as `sha256/AB/ABCD...`."""
        return self.root / "cache" / "debs"

    @property
    def controls(self) -> Path:
        """Control files of .debs by the digest of the .deb."""
        return self.root / "cache" / "controls"

    @property
    def lists(self) -> Path:
        """What apt fetched of the repositories, by their digest."""
        return self.root / "cache" / "lists"

    @property
    def tools(self) -> Path:
        """Tools roots by digest."""
        return self.root / "cache" / "tools"

    @property
    def layers(self) -> Path:
        """Compressed layers of images, by what is in them."""
        return self.root / "cache" / "layers"

    @property
    def initramfs(self) -> Path:
        """By the digest of what they were made from."""
        return self.root / "cache" / "initramfs"

    @property
    def keys(self) -> Path:
        """Private keys that the engine made for itself, such as the mini-repositories'."""
        return self.root / "keys"

    @property
    def records(self) -> Path:
        """Finished phases: `PHASE/INPUTS-DIGEST/`."""
        return self.root / "phases"

    @property
    def work_repository(self) -> Path:
        """The OSTree repository (mode bare) that composes commit to, under refs of their own."""
        return self.root / "repo"

    @property
    def published_repository(self) -> Path:
        """The OSTree repository that clients pull from, unless the treefile names another."""
        return self.root / "published" / "ostree"

    @property
    def composes(self) -> Path:
        """`COMPOSE-ID/`, as Pungi lays them out: compose/, logs/, work/, COMPOSE_ID, STATUS."""
        return self.root / "composes"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def scratch(self) -> Path:
        """Half-made things, on the same file system as what they become."""
        return self.root / "scratch"
