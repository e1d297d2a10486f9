"""Files into a buildroot and out of it, by descriptors: no link of the buildroot ever leads outside.

Nothing in the buildroot is run for it. Paths are resolved by the kernel as in a chroot (openat2(2),
RESOLVE_IN_ROOT), and below that each step is a plain name that is opened with O_NOFOLLOW.
"""

import ctypes
import errno
import os
import secrets
import shutil
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from deb_mock.failures import FailureClass, failure
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_TRIES = 20
_DEEPEST = 200
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TARGET = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who copied files belong to, and which bits of their modes stay."""

    uid: int
    gid: int
    mode_mask: int = 0o777


@dataclass(slots=True)
class Copied:
    """What was done."""

    files: int = 0
    skipped: list[str] = field(default_factory=list)
    """Sockets, fifos and device nodes."""


def open_in_root(root: int, path: str, flags: int) -> int:
    """A descriptor of `path`, resolved as if the directory `root` were `/`.

    Raises:
        OSError: as open(2).
    """
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_TRIES):
        descriptor = int(_libc.syscall(_OPENAT2, root, os.fsencode(path), how, ctypes.c_size_t(len(how))))
        if descriptor >= 0:
            return descriptor
        if ctypes.get_errno() != errno.EAGAIN:
            break
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path)


@contextmanager
def directory_in_root(root: int, path: str) -> Iterator[int]:
    """A descriptor of the directory `path` of a buildroot."""
    descriptor = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def copy_tree(source: tuple[int, str], target: tuple[int, str], owner: Owner) -> Copied:
    """Copy one file, link or whole directory, given as directory descriptor and plain name each.

    Files replace files, directories go into directories that are there. Links are copied as links; what is no file,
    directory or link is left out and named.

    Raises:
        OSError: of the system.
        DeborchError: UNSAFE_PATH if something is in the way, or the tree is too deep.
    """
    copied = Copied()
    _copy(source, target, owner, copied, PurePosixPath(source[1]))
    return copied


def copy_from_root(root: int, path: str, target: tuple[int, str], owner: Owner) -> Copied:
    """As `copy_tree`, of what `path` of a buildroot means in there, links in it followed.

    Raises:
        OSError, DeborchError: as `copy_tree`.
    """
    copied, shown = Copied(), PurePosixPath(PurePosixPath(path).name)
    looked_at = open_in_root(root, path, os.O_PATH)
    try:
        kind = os.fstat(looked_at).st_mode
    finally:
        os.close(looked_at)
    if stat.S_ISDIR(kind):
        with directory_in_root(root, path) as here:
            _copy_directory(here, target, owner, copied, shown)
    elif stat.S_ISREG(kind):
        _copy_file(open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK), target, owner)
        copied.files += 1
    else:
        copied.skipped.append(path)
    return copied


def _copy(source: tuple[int, str], target: tuple[int, str], owner: Owner, copied: Copied, shown: PurePosixPath) -> None:
    directory, name = source
    kind = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if stat.S_ISDIR(kind):
        here = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            _copy_directory(here, target, owner, copied, shown)
        finally:
            os.close(here)
    elif stat.S_ISREG(kind):
        _copy_file(os.open(name, _SOURCE, dir_fd=directory), target, owner)
        copied.files += 1
    elif stat.S_ISLNK(kind):
        text = os.readlink(name, dir_fd=directory)
        with _replacing(target) as temporary:
            os.symlink(text, temporary, dir_fd=target[0])
            os.chown(temporary, owner.uid, owner.gid, dir_fd=target[0], follow_symlinks=False)
        copied.files += 1
    else:
        copied.skipped.append(str(shown))


def _copy_directory(here: int, target: tuple[int, str], owner: Owner, copied: Copied, shown: PurePosixPath) -> None:
    if len(shown.parts) > _DEEPEST:
        raise _refused(f"{bounded(str(shown), 200)} is deeper than {_DEEPEST} directories", "copy a part of it")
    with suppress(FileExistsError):
        os.mkdir(target[1], 0o700, dir_fd=target[0])
        os.chown(target[1], owner.uid, owner.gid, dir_fd=target[0], follow_symlinks=False)
    there = os.open(target[1], _DIRECTORY, dir_fd=target[0])
    try:
        with os.scandir(here) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            _copy((here, name), (there, name), owner, copied, shown / name)
        attributes = os.fstat(here)
        os.fchmod(there, attributes.st_mode & owner.mode_mask)
        os.utime(there, ns=(attributes.st_atime_ns, attributes.st_mtime_ns))
    finally:
        os.close(there)


def _copy_file(source: int, target: tuple[int, str], owner: Owner) -> None:
    """`source` is closed at the end."""
    with os.fdopen(source, "rb") as content:
        attributes = os.fstat(content.fileno())
        if not stat.S_ISREG(attributes.st_mode):
            raise _refused(f"{bounded(target[1], 200)} is no file any more", "copy again")
        with (
            _replacing(target) as temporary,
            os.fdopen(os.open(temporary, _TARGET, 0o600, dir_fd=target[0]), "wb") as copy,
        ):
            shutil.copyfileobj(content, copy, 1 << 20)
            copy.flush()
            os.fchown(copy.fileno(), owner.uid, owner.gid)
            os.fchmod(copy.fileno(), attributes.st_mode & owner.mode_mask)
            os.utime(copy.fileno(), ns=(attributes.st_atime_ns, attributes.st_mtime_ns))


@contextmanager
def _replacing(target: tuple[int, str]) -> Iterator[str]:
    """A name beside `target` that takes its place at the end, if no directory is there."""
    directory, name = target
    temporary = f".deb-mock-{secrets.token_hex(8)}"
    try:
        yield temporary
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
        if isinstance(error, IsADirectoryError):
            raise _refused(f"{bounded(name, 200)} is a directory there", "remove it, or choose another name") from error
        raise


def _refused(message: str, hint: str) -> DeborchError:
    return failure(FailureClass.POLICY, ErrorCode.UNSAFE_PATH, message, hint=hint)
