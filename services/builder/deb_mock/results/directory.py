"""What leaves a buildroot: files named by the .changes, each verified, made visible all at once.

Everything in the workspace is foreign. Files are opened by plain names, never through links, and only as many as
the .changes lists.
"""

import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

from debian.deb822 import Changes

from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.model import Artifact, ArtifactKind
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.ids import Sha256
from deborch_shared.sources import check_file_name

_CHUNK_BYTES = 1 << 20
_MAX_CHANGES_BYTES = 4 << 20
_KINDS = {
    ".deb": ArtifactKind.DEB,
    ".udeb": ArtifactKind.UDEB,
    ".ddeb": ArtifactKind.DDEB,
    ".changes": ArtifactKind.CHANGES,
    ".buildinfo": ArtifactKind.BUILDINFO,
    ".build": ArtifactKind.LOG,
}
_REPORT_SUFFIX = ".report.json"
_COMES_LAST = (".buildinfo", ".changes")
"""Whoever sees the .changes in a directory that results are merged into finds what it lists."""
_FICLONE = 0x4004_9409
"""ioctl_ficlonerange(2): share the blocks of a file, copied as soon as one side is written to."""


class ResultDirectory:
    """A directory that is filled beside its place and renamed into it.

    With `merge` its files go into a directory that may exist, one by one, each replacing one of its name at once.
    """

    def __init__(self, final: Path, *, merge: bool = False) -> None:
        self.final = final
        self.merge = merge
        self.unfinished = final.with_name(f".{final.name}.{secrets.token_hex(4)}.new")

    def check_free(self) -> None:
        """Refuse a place that is taken.

        Raises:
            DeborchError: ALREADY_EXISTS
        """
        taken = self.final.exists() and not self.final.is_dir()
        if taken or (not self.merge and self.final.exists() and any(self.final.iterdir())):
            raise self._taken("not a directory" if taken else "not empty")

    def create(self) -> None:
        self.unfinished.mkdir(parents=True)

    def take(self, workspace_fd: int, name: str, *, sha256: str | None = None, may_link: bool = False) -> Artifact:
        """Take a file of the workspace; with `sha256`, refuse another content.

        On one file system its blocks are shared, or with `may_link` the file itself: only where nothing inside can
        write to a file of the host's root. Else it is copied.

        Raises:
            DeborchError: BUILD_FAILED if it is not there, no plain file, or not what was announced.
        """
        check_file_name(name, "the build")
        target = self.unfinished / name
        with _open_regular(workspace_fd, name) as source:
            shared = (may_link and _linked(source.fileno(), target)) or _cloned(source.fileno(), target)
            digest, size_bytes = _hashed(target) if shared else _copied(source, target)
        if sha256 is not None and digest != sha256.lower():
            _refuse(f"{name} has another content than the .changes says")
        return self._artifact(name, digest, size_bytes)

    def add_file(self, name: str, source: Path) -> Artifact:
        """Copy a finished file of ours, such as the log."""
        with source.open("rb") as reading:
            digest, size_bytes = _copied(reading, self.unfinished / name)
        return self._artifact(name, digest, size_bytes)

    def add_text(self, name: str, text: str) -> Artifact:
        """Write a file of ours, such as the report."""
        content = text.encode()
        (self.unfinished / name).write_bytes(content)
        return self._artifact(name, hashlib.sha256(content).hexdigest(), len(content))

    def publish(self) -> None:
        """Make everything visible and durable: at once, or file by file into what is there.

        Raises:
            DeborchError: ALREADY_EXISTS if somebody else has filled the directory meanwhile.
        """
        for path in self.unfinished.iterdir():
            _sync(path)
        _sync(self.unfinished)
        if not self._renamed():
            with _alone_in(self.final):
                for path in sorted(self.unfinished.iterdir(), key=_comes_last):
                    path.rename(self.final / path.name)
            _sync(self.final)
            self.unfinished.rmdir()

    def _renamed(self) -> bool:
        """Put all in place at once; with `merge` False if there is something already."""
        try:
            self.unfinished.rename(self.final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not self.merge:
                raise self._taken("not empty any more: another build has put its results there") from error
            return False
        _sync(self.final.parent)
        return True

    def _taken(self, how: str) -> DeborchError:
        return failure(
            FailureClass.POLICY,
            ErrorCode.ALREADY_EXISTS,
            f"the result directory {self.final} is {how}",
            hint="give a directory that does not exist yet, or remove it, or merge into it (--merge)",
        )

    def _artifact(self, name: str, sha256: str, size_bytes: int) -> Artifact:
        return Artifact(name, self.final / name, Sha256(sha256), size_bytes, kind_of(name))


def keep_failed(directory: Path, log: Path, log_name: str, report: str, report_name: str) -> tuple[Path, Path]:
    """Put log and report of a build that failed into `directory`, replacing those of the one before; their places."""
    directory.mkdir(parents=True, exist_ok=True)
    kept_log, kept_report = directory / log_name, directory / report_name
    with log.open("rb") as reading:
        temporary = directory / f".{log_name}.{secrets.token_hex(4)}"
        _copied(reading, temporary)
        temporary.rename(kept_log)
    temporary = directory / f".{report_name}.{secrets.token_hex(4)}"
    temporary.write_text(report)
    temporary.rename(kept_report)
    return kept_log, kept_report


def collect(
    workspace_fd: int, changes_name: str, target: ResultDirectory, *, log_name: str, may_link: bool = False
) -> list[Artifact]:
    """Take the .changes and every file that it lists; the names of our own log and report stay free.

    Raises:
        DeborchError: of class compile; BUILD_FAILED if the build left no .changes, or one that does not hold,
            UNSAFE_PATH if it lists what is no plain name.
    """
    with failures_are(FailureClass.COMPILE):
        text = read_bounded(workspace_fd, changes_name)
        entries = _listed(text, changes_name, log_name)
        artifacts = [target.take(workspace_fd, changes_name, sha256=hashlib.sha256(text).hexdigest())]
        artifacts += [target.take(workspace_fd, name, sha256=sha256, may_link=may_link) for name, sha256 in entries]
    return artifacts


def _listed(text: bytes, changes_name: str, log_name: str) -> list[tuple[str, str]]:
    """Names and SHA-256 of the files that a .changes lists, each once."""
    try:
        entries = [(str(entry["name"]), str(entry["sha256"])) for entry in Changes(text)["Checksums-Sha256"]]
    except (KeyError, ValueError, TypeError) as error:
        _refuse(f"{changes_name} cannot be read: {error!r}")
    taken = {changes_name, log_name, report_name(log_name)}
    for name, _ in entries:
        if name in taken:
            _refuse(f"{changes_name} lists {name}, which is there already: twice, or as a file of deb-mock")
        taken.add(name)
    return entries


def read_bounded(workspace_fd: int, name: str) -> bytes:
    """A control file of the workspace.

    Raises:
        DeborchError: BUILD_FAILED if it is not there, no plain file, or too large.
    """
    with _open_regular(workspace_fd, name) as opened:
        text = opened.read(_MAX_CHANGES_BYTES + 1)
    if len(text) > _MAX_CHANGES_BYTES:
        _refuse(f"{name} is larger than {_MAX_CHANGES_BYTES} bytes")
    return text


def kind_of(name: str) -> ArtifactKind:
    """By the end of the name."""
    if name.endswith(_REPORT_SUFFIX):
        return ArtifactKind.REPORT
    return _KINDS.get(Path(name).suffix, ArtifactKind.OTHER)


def report_name(log_name: str) -> str:
    """The name of the report beside a log."""
    return f"{log_name.removesuffix('.build')}{_REPORT_SUFFIX}"


def _cloned(source: int, target: Path) -> bool:
    """Share the blocks of `source`; False where the file system cannot."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        fcntl.ioctl(descriptor, _FICLONE, source)
    except OSError:
        target.unlink()
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _linked(source: int, target: Path) -> bool:
    """Make `source` ours and link it; False on another file system, or if it has names that stay with the build.

    What wrote it is dead by now, and nothing inside may open a file of the host's root for writing.
    """
    if os.fstat(source).st_nlink != 1:
        return False
    try:
        os.fchown(source, os.geteuid(), os.getegid())
        os.fchmod(source, 0o644)
        # With a descriptor of a directory Python calls linkat(2), which follows the link of /proc.
        os.link(f"/proc/self/fd/{source}", target, src_dir_fd=source, follow_symlinks=True)
    except OSError:
        return False
    return True


def _copied(source: BinaryIO, target: Path) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    with target.open("xb") as writing:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
            writing.write(chunk)
    return digest.hexdigest(), size_bytes


def _hashed(path: Path) -> tuple[str, int]:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest(), os.fstat(source.fileno()).st_size


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


def _comes_last(path: Path) -> tuple[bool, str]:
    return path.name.endswith(_COMES_LAST), path.name


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Two builds that merge into one directory do so one after the other, so that a .changes fits its files."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
