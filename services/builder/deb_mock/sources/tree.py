"""An unpacked source tree of the user: what it says about itself, and copying it. It is read only, never written."""

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, Self

from debian.deb822 import Deb822

from deb_mock.failures import FailureClass, failure
from deborch_shared import versions
from deborch_shared.errors import ErrorCode, bounded
from deborch_shared.sources import SourceDescription
from deborch_shared.versions import without_epoch

_HEADING = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+) \((?P<version>[^()\s]+)\)(?: [^\s;]+)+;")
_VERSION_CONTROL = frozenset({".git", ".svn", ".hg", ".bzr", "_darcs"})
_RELATION_FIELDS = tuple(f"Build-{kind}{part}" for kind in ("Depends", "Conflicts") for part in ("", "-Arch", "-Indep"))
_MAX_READ_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A directory with debian/."""

    directory: Path
    description: SourceDescription
    """As the .dsc will say it; of no files yet."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read debian/changelog, debian/control and debian/source/format.

        Raises:
            DeborchError: INVALID_SOURCE, naming the file and what is wrong with it.
        """
        directory = directory.resolve()
        heading = _HEADING.match(_text(directory, "debian/changelog").lstrip())
        if heading is None or not versions.is_valid(heading["version"]):
            _refuse(directory, "debian/changelog does not begin with an entry", "see deb-changelog(5)")
        stanzas = list(Deb822.iter_paragraphs(_text(directory, "debian/control").splitlines(), use_apt_pkg=False))
        if not stanzas or stanzas[0].get("Source") != heading["name"]:
            _refuse(
                directory,
                f"debian/control has not the source package {heading['name']} that debian/changelog has",
                "give both the same name",
            )
        source, binaries = stanzas[0], stanzas[1:]
        architectures = dict.fromkeys(word for one in binaries for word in one.get("Architecture", "").split())
        has_format = (directory / "debian/source/format").exists()
        return cls(
            directory,
            SourceDescription(
                name=heading["name"],
                version=heading["version"],
                format=_text(directory, "debian/source/format").partition("\n")[0].strip() if has_format else "1.0",
                architectures=tuple(architectures) or ("any",),
                files=(),
                binaries=tuple(one["Package"] for one in binaries if "Package" in one),
                maintainer=bounded(source.get("Maintainer", ""), 300),
                relations={field: _one_line(source[field]) for field in _RELATION_FIELDS if source.get(field)},
                is_signed=False,
            ),
        )

    @property
    def upstream(self) -> str:
        """NAME_VERSION of the tarballs."""
        version = without_epoch(self.description.version)
        return f"{self.description.name}_{version.rpartition('-')[0] or version}"

    def tarballs(self) -> tuple[Path, ...]:
        """The original tarballs beside the tree, with their signatures.

        Raises:
            DeborchError: INVALID_SOURCE if the format needs one and there is none.
        """
        pattern = re.compile(rf"{re.escape(self.upstream)}\.orig(-[A-Za-z0-9-]+)?\.tar\.(gz|bz2|xz|lzma)(\.asc)?\Z")
        found = sorted(path for path in self.directory.parent.iterdir() if pattern.match(path.name))
        if self.description.format == "3.0 (quilt)" and not any(".orig.tar." in path.name for path in found):
            _refuse(
                self.directory,
                f"{self.upstream}.orig.tar.* is missing in {self.directory.parent}",
                "put it beside the tree: `origtargz`, `pristine-tar checkout`, `git archive` or `uscan` get it",
            )
        return tuple(found)

    def copy_into(self, workspace_fd: int, owner: int) -> str:
        """Copy tree and tarballs into a workspace, for `owner`; the name of the tree's directory there.

        Left out are the directories of version control, and what is no file, directory or symbolic link.
        """
        name = f"{self.description.name}-{self.upstream.partition('_')[2]}"
        workspace = Path(f"/proc/self/fd/{workspace_fd}")
        target = workspace / name
        shutil.copytree(self.directory, target, symlinks=True, ignore=_left_out)
        for tarball in self.tarballs():
            with self._open_tarball(tarball) as source, (workspace / tarball.name).open("xb") as copy:
                shutil.copyfileobj(source, copy)
                os.chown(copy.fileno(), owner, owner)
        for path in _below(target):
            os.chown(path, owner, owner, follow_symlinks=False)
        return name

    def _open_tarball(self, path: Path) -> BinaryIO:
        """A tarball, or the one beside it that it is a link to, as uscan makes them. No other link is followed: who
        reads may be root, and what is read goes to a build."""
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _open_regular(_target_beside(path), dir_fd=directory)
        except OSError as error:
            problem = f"{path.name} beside it cannot be read: {error.strerror}"
            _refuse(self.directory, problem, "put the file itself there")
        finally:
            os.close(directory)


def _below(directory: Path) -> Iterator[Path]:
    yield directory
    for parent, directories, files in os.walk(directory):
        yield from (Path(parent) / name for name in (*directories, *files))


def _left_out(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name in _VERSION_CONTROL or not _is_usual(Path(directory) / name)}


def _is_usual(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _text(directory: Path, name: str) -> str:
    """A file of the tree; a link must not lead out of it."""
    path = (directory / name).resolve()
    if not path.is_relative_to(directory):
        _refuse(directory, f"{name} is a link that leads out of the tree", "put the file itself there")
    try:
        with _open_regular(path) as opened:
            return opened.read(_MAX_READ_BYTES).decode("utf-8", "replace")
    except OSError as error:
        _refuse(directory, f"{name} cannot be read: {error.strerror}", "give a directory with debian/ in it")


def _target_beside(path: Path) -> str:
    """The name that `path` has, or leads to, in its directory."""
    target = path.readlink() if path.is_symlink() else Path(path.name)
    if target.name != str(target):
        raise OSError(errno.ELOOP, f"it is a link to {target}")
    return target.name


def _open_regular(path: str | Path, *, dir_fd: int | None = None) -> BinaryIO:
    """Without following a link, and without waiting for what is no file.

    Raises:
        OSError: as open(2), and EINVAL for what is no file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file")
    return os.fdopen(descriptor, "rb")


def _one_line(value: str) -> str:
    return " ".join(line for line in value.split() if line)


def _refuse(directory: Path, problem: str, hint: str) -> NoReturn:
    raise failure(FailureClass.POLICY, ErrorCode.INVALID_SOURCE, f"{directory}: {bounded(problem, 400)}", hint=hint)
