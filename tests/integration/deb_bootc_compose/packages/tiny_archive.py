"""Signed archives of tiny packages, made with dpkg-deb and apt-ftparchive; composes that gather from them."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.openpgp import Signer

from deb_bootc_compose.gather.lock import Lock, read_lock
from deb_bootc_compose.gather.phase import GatherPhase
from deb_bootc_compose.phases.api import PhaseResult, PhaseWork, Target
from deb_bootc_compose.phases.facts import GatherFacts
from deb_bootc_compose.phases.progress import Silent
from deb_bootc_compose.phases.request import ComposeRequest
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.treefile.resolved import ResolvedTreefile

TARGET = Target("tiny", "amd64")
EPOCH = 1_700_000_000
_SOURCE = """Package: {name}
Binary: {name}
Version: {version}
Maintainer: Tests <tests@example.org>
Architecture: any
Format: 3.0 (native)
Directory: pool
Files:
 {md5} {size} {dsc}
Checksums-Sha256:
 {sha256} {size} {dsc}
"""


class TinyArchive:
    """One suite in a directory; `publish` after changes."""

    def __init__(self, root: Path, signer: Signer, suite: str = "trixie") -> None:
        self.root = root
        self.suite = suite
        self.signer = signer
        self._dist = root / "dists" / suite
        (root / "pool").mkdir(parents=True)
        self._sources: dict[str, str] = {}

    @property
    def uri(self) -> str:
        return f"file:{self.root}"

    def deb(self, name: str, version: str = "1", architecture: str = "amd64", **fields: str) -> Path:
        """Add a package; fields such as `depends` or `essential`."""
        return make_deb(self.root / "pool", name, version, architecture, **fields)

    def source(self, name: str, version: str = "1") -> str:
        """Add a source package with a .dsc that only looks like one; its digest."""
        dsc = self.root / "pool" / f"{name}_{version}.dsc"
        dsc.write_text(f"Source: {name}\nVersion: {version}\n")
        content = dsc.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        values = {"name": name, "version": version, "dsc": dsc.name, "size": len(content)}
        self._sources[dsc.name] = _SOURCE.format(**values, sha256=sha256, md5=md5)
        return sha256

    def remove(self, file_name: str) -> None:
        (self.root / "pool" / file_name).unlink()

    def publish(self, *, valid_until: str = "", signer: Signer | None = None, sources: bool = True) -> None:
        shutil.rmtree(self._dist, ignore_errors=True)
        for architecture in ("amd64", "i386"):
            directory = self._dist / "main" / f"binary-{architecture}"
            directory.mkdir(parents=True)
            listed = _run(self.root, "apt-ftparchive", "--arch", architecture, "packages", "pool")
            (directory / "Packages").write_bytes(listed)
        if sources:
            (self._dist / "main" / "source").mkdir()
            (self._dist / "main" / "source" / "Sources").write_text("\n".join(self._sources.values()))
        fields = {"Suite": self.suite, "Codename": self.suite, "Components": "main", "Architectures": "amd64 i386"}
        options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
        release = _run(self.root, "apt-ftparchive", *options, "release", f"dists/{self.suite}")
        if valid_until:
            release = f"Valid-Until: {valid_until}\n".encode() + release
        inrelease = self._dist / "InRelease"
        inrelease.write_bytes(release)
        (signer or self.signer).sign(inrelease)


def make_deb(directory: Path, name: str, version: str, architecture: str, **fields: str) -> Path:
    """A package with one file and these fields."""
    tree = directory / f".{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/tiny").mkdir(parents=True)
    (tree / "usr/share/tiny" / name).write_text(f"{name} {version}\n")
    control = {"Package": name, "Version": version, "Architecture": architecture, "Maintainer": "T <t@example.org>"}
    control |= {key.replace("_", "-").title(): value for key, value in fields.items()} | {"Description": "tiny"}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    path = directory / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    _run(directory, "dpkg-deb", "--root-owner-group", "-Znone", "--build", tree.name, path.name)
    shutil.rmtree(tree)
    return path


def _run(directory: Path, *argv: str) -> bytes:
    return subprocess.run(argv, cwd=directory, check=True, capture_output=True).stdout


@dataclass
class Gathering:
    """Composes in one state directory, of which only `gather` is run."""

    root: Path
    archive: TinyArchive
    keys: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    @property
    def state(self) -> State:
        return State(self.root / "state")

    def work(self, *packages: str, request: dict[str, Any] | None = None, **keys: Any) -> PhaseWork:
        self.count += 1
        directory = self.root / f"gather-{self.count}"
        directory.mkdir(parents=True)
        results: dict[str, PhaseResult] = keys.pop("results", {})
        services: dict[str, object] = keys.pop("services", {})
        treefile = self.treefile(*packages, **keys)
        return PhaseWork(
            request=ComposeRequest(treefile=Path("tiny.yaml"), **(request or {})),
            compose_id="tiny-1",
            target=TARGET,
            treefiles={TARGET: treefile},
            directory=directory,
            results=results,
            all_results={},
            state=self.state,
            tools=NoTools(),
            progress=Silent(),
            epoch=EPOCH,
            services=services,
        )

    def treefile(self, *packages: str, **keys: Any) -> ResolvedTreefile:
        chosen = {
            "name": "tiny",
            "variant": TARGET.variant,
            "architecture": TARGET.architecture,
            "directory": self.root,
            "suite": self.archive.suite,
            "mirror": self.archive.uri,
            "keyrings": (str(self.archive.signer.keyring),),
            "packages": packages,
            "ref": "tiny/amd64",
            **self.keys,
            **keys,
        }
        return ResolvedTreefile(**chosen)

    async def gather(self, *packages: str, **keys: Any) -> "Gathered":
        work = self.work(*packages, **keys)
        return Gathered(work.directory, GatherFacts(**await GatherPhase().run(work)))

    async def inputs(self, *packages: str, **keys: Any) -> dict[str, Any]:
        return await GatherPhase().inputs(self.work(*packages, **keys))


@dataclass(frozen=True)
class Gathered:
    """What one run of `gather` made."""

    directory: Path
    facts: GatherFacts

    @property
    def lock_file(self) -> Path:
        return self.directory / "lock.json"

    @property
    def lock(self) -> Lock:
        return read_lock(self.lock_file)

    @property
    def versions(self) -> dict[str, str]:
        return {package.name: package.version for package in self.lock.packages}

    def text(self, name: str) -> str:
        return (self.directory / "repository" / name).read_text()


class NoTools(Tools):
    """`gather` and `build` need no tools root."""
