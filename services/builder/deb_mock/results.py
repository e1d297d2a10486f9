"""What leaves a buildroot: files named by the .changes, each verified, made visible all at once.

Everything in the workspace is foreign. Files are opened by plain names, never through links, and only as many as
the .changes lists.
"""

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO, NoReturn

from debian.deb822 import Changes

from deb_mock.failures import FailureClass, failure
from deb_mock.model import Artifact, ArtifactKind, BuildRequest
from deborch_shared.errors import ErrorCode, bounded
from deborch_shared.ids import Sha256
from deborch_shared.sources import check_file_name
from deborch_shared.versions import without_epoch

_CHUNK_BYTES = 1 << 20
_MAX_CHANGES_BYTES = 4 << 20
_KINDS = {".deb": ArtifactKind.DEB, ".udeb": ArtifactKind.UDEB, ".buildinfo": ArtifactKind.BUILDINFO}


class ResultDirectory:
    """A directory that is filled beside its place and renamed into it."""

    def __init__(self, final: Path) -> None:
        self.final = final
        self.unfinished = final.with_name(f".{final.name}.{secrets.token_hex(4)}.new")

    def check_free(self) -> None:
        """Refuse a place that is taken.

        Raises:
            DeborchError: ALREADY_EXISTS
        """
        if self.final.exists() and (not self.final.is_dir() or any(self.final.iterdir())):
            raise failure(
                FailureClass.POLICY,
                ErrorCode.ALREADY_EXISTS,
                f"the result directory {self.final} is not empty",
                hint="give a directory that does not exist yet, or remove it",
            )

    def create(self) -> None:
        self.unfinished.mkdir(parents=True)

    def take(self, workspace_fd: int, name: str, *, sha256: str | None = None) -> Artifact:
        """Copy a file of the workspace; with `sha256`, refuse another content.

        Raises:
            DeborchError: BUILD_FAILED if it is not there, no plain file, or not what was announced.
        """
        check_file_name(name, "the build")
        with _open_regular(workspace_fd, name) as source, (self.unfinished / name).open("xb") as target:
            digest, size_bytes = hashlib.sha256(), 0
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
                target.write(chunk)
        if sha256 is not None and digest.hexdigest() != sha256.lower():
            _refuse(f"{name} has another content than the .changes says")
        return self._artifact(name, digest.hexdigest(), size_bytes)

    def add_log(self, name: str, source: Path) -> Artifact:
        """Copy a finished log of ours."""
        content_digest = hashlib.sha256()
        with source.open("rb") as reading, (self.unfinished / name).open("xb") as target:
            while chunk := reading.read(_CHUNK_BYTES):
                content_digest.update(chunk)
                target.write(chunk)
        return self._artifact(name, content_digest.hexdigest(), source.stat().st_size)

    def publish(self) -> None:
        """Make everything visible at once and durable."""
        for path in self.unfinished.iterdir():
            _sync(path)
        _sync(self.unfinished)
        self.unfinished.rename(self.final)
        _sync(self.final.parent)

    def _artifact(self, name: str, sha256: str, size_bytes: int) -> Artifact:
        return Artifact(name, self.final / name, Sha256(sha256), size_bytes, kind_of(name))


def collect(
    workspace_fd: int, source: str, version: str, request: BuildRequest, target: ResultDirectory
) -> list[Artifact]:
    """Copy the .changes and every file that it lists.

    Raises:
        DeborchError: BUILD_FAILED if the build left no .changes, or one that does not hold.
    """
    architecture = "all" if request.mode == "all" else request.architecture
    changes_name = f"{source}_{without_epoch(version)}_{architecture}.changes"
    with _open_regular(workspace_fd, changes_name) as opened:
        text = opened.read(_MAX_CHANGES_BYTES + 1)
    if len(text) > _MAX_CHANGES_BYTES:
        _refuse(f"{changes_name} is larger than {_MAX_CHANGES_BYTES} bytes")
    try:
        entries = [(str(entry["name"]), str(entry["sha256"])) for entry in Changes(text)["Checksums-Sha256"]]
    except (KeyError, ValueError, TypeError) as error:
        _refuse(f"{changes_name} cannot be read: {error!r}")
    artifacts = [target.take(workspace_fd, changes_name, sha256=hashlib.sha256(text).hexdigest())]
    artifacts += [target.take(workspace_fd, name, sha256=sha256) for name, sha256 in entries]
    return artifacts


def kind_of(name: str) -> ArtifactKind:
    """By the end of the name."""
    if name.endswith(".changes"):
        return ArtifactKind.CHANGES
    if name.endswith(".build"):
        return ArtifactKind.LOG
    return _KINDS.get(Path(name).suffix, ArtifactKind.OTHER)


def _open_regular(directory_fd: int, name: str) -> BinaryIO:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=directory_fd)
    except OSError as error:
        _refuse(f"the build left no {name}: {error.strerror}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        _refuse(f"{name}, which the build left, is no plain file")
    return os.fdopen(descriptor, "rb")


def _refuse(problem: str) -> NoReturn:
    raise failure(
        FailureClass.COMPILE,
        ErrorCode.BUILD_FAILED,
        bounded(problem, 400),
        hint="the build must leave what dpkg-genchanges lists; see the end of the log",
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
