"""Tiny real packages for the hub: a .deb by dpkg-deb, a source package whose .dsc is right."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.integration.hub.harness import ADMIN, Replica

from deborch_hub.store.blobs import BlobStore
from deborch_shared.contract.builds import UploadedFile
from deborch_shared.events.model import File
from deborch_shared.ids import Sha256

__all__ = ["ADMIN", "Source", "deb", "source", "stored"]


@dataclass(frozen=True)
class Source:
    dsc: UploadedFile
    files: tuple[UploadedFile, ...]


async def stored(replica: Replica, path: Path) -> File:
    """`path` in the hub's blob store, known to its database."""
    blobs: BlobStore = replica.process.blobs
    sha256, size = await blobs.add_file(path)
    await replica.hub.record_blob(Sha256(sha256), size)
    return File(name=path.name, sha256=sha256, size_bytes=size)


async def deb(
    replica: Replica, directory: Path, name: str, version: str, *, architecture: str = "amd64", note: str = ""
) -> File:
    """A real .deb; `note` makes its content differ."""
    root = directory / f"{name}-{version}-{note or 'x'}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        f"Maintainer: Test <test@example.org>\nDescription: test {note}\n"
    )
    path = directory / f"{name}_{version}_{architecture}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, path], check=True, capture_output=True)
    return await stored(replica, path)


async def source(replica: Replica, directory: Path, name: str, version: str, *, architecture: str = "any") -> Source:
    """A source package in the blob store: one tarball and a .dsc that names it."""
    tarball = directory / f"{name}_{version}.tar.xz"
    tarball.write_bytes(f"{name} {version}".encode())
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    md5 = hashlib.md5(tarball.read_bytes(), usedforsecurity=False).hexdigest()
    size = tarball.stat().st_size
    dsc = directory / f"{name}_{version}.dsc"
    dsc.write_text(
        f"Format: 3.0 (native)\nSource: {name}\nBinary: {name}\nArchitecture: {architecture}\nVersion: {version}\n"
        "Maintainer: Test <test@example.org>\nStandards-Version: 4.6.2\n"
        f"Checksums-Sha256:\n {digest} {size} {tarball.name}\nFiles:\n {md5} {size} {tarball.name}\n"
    )
    files = [await stored(replica, path) for path in (dsc, tarball)]
    uploaded = [UploadedFile(**file.model_dump()) for file in files]
    return Source(uploaded[0], (uploaded[1],))
