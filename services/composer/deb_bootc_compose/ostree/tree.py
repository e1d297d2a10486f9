"""A root filesystem in a directory. Links in it are foreign: followed as they would be inside, never out of it."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared.errors import DeborchError, ErrorCode

_MAX_LINKS = 40


def tree_failure(message: str, *, hint: str) -> DeborchError:
    """The tree cannot be made as asked."""
    return failure(FailureClass.TREE, ErrorCode.CHECK_FAILED, message, hint=hint)


class Tree:
    """Nothing runs in the tree while this reads and writes. Paths are as inside, with or without the first `/`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def where(self, path: str, *, follow: bool = True) -> Path:
        """Where `path` is on the host; `follow`: what the last part points to, if it is a link.

        Raises:
            DeborchError: CHECK_FAILED of class TREE for links in a circle.
        """
        ahead = [part for part in reversed(path.split("/")) if part]
        reached: list[str] = []
        links = 0
        while ahead:
            part = ahead.pop()
            if part == ".":
                continue
            if part == "..":
                del reached[-1:]
                continue
            place = self.root.joinpath(*reached, part)
            if not place.is_symlink() or (not ahead and not follow):
                reached.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise tree_failure(f"{path} in the tree is a circle of links", hint="mend what makes the links")
            target = str(place.readlink())
            if target.startswith("/"):
                reached.clear()
            ahead.extend(piece for piece in reversed(target.split("/")) if piece)
        return self.root.joinpath(*reached)

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.where(path, follow=False))

    def is_directory(self, path: str) -> bool:
        return self.where(path).is_dir()

    def read(self, path: str) -> str | None:
        """Text of a file; None: it is not there, or not a file."""
        place = self.where(path)
        return place.read_text(errors="surrogateescape") if place.is_file() else None

    def names(self, path: str) -> list[str]:
        """What is in a directory, sorted; empty if there is none."""
        place = self.where(path)
        return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Have a file of root's there, in place of whatever was."""
        place = self._cleared(path)
        place.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
        place.chmod(mode)

    def rewrite(self, path: str, content: str) -> None:
        """Change the content of a file, which keeps owner and mode."""
        self.where(path).write_text(content, errors="surrogateescape")

    def link(self, path: str, target: str) -> None:
        """Have a symbolic link there, in place of whatever was."""
        self._cleared(path).symlink_to(target)

    def make_directory(self, path: str, mode: int = 0o755) -> Path:
        place = self.where(path)
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(mode)
        return place

    def make_empty(self, path: str, mode: int = 0o755) -> None:
        """An empty directory of root's, in place of whatever was."""
        place = self._cleared(path)
        place.mkdir()
        place.chmod(mode)

    def remove(self, path: str) -> None:
        """Remove a file, a link or everything in a directory; nothing if it is not there."""
        place = self.where(path, follow=False)
        if place.is_symlink() or not place.is_dir():
            place.unlink(missing_ok=True)
        else:
            shutil.rmtree(place)

    def move(self, source: str, destination: str) -> None:
        """Rename within the tree."""
        self.where(source, follow=False).rename(self._cleared(destination))

    def walk(self, path: str = "/") -> Iterator[tuple[str, os.stat_result]]:
        """Everything below `path`, directories before what is in them, in one order. Links are not followed."""
        base = self.where(path)
        prefix = "/" + "/".join(base.relative_to(self.root).parts)
        yield from _walk(base, prefix.rstrip("/"))

    def _cleared(self, path: str) -> Path:
        place = self.where(path, follow=False)
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(place):
            self.remove("/" + str(place.relative_to(self.root)))
        return place


def _walk(directory: Path, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        status = entry.stat(follow_symlinks=False)
        yield f"{prefix}/{entry.name}", status
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(Path(entry.path), f"{prefix}/{entry.name}")
