"""Dependency layers on disk: named by what is installed in them, found again, checked, kept from removal while used.

Below `layers_dir`, for each tree and id mapping: `DIGEST/`, the changes that installing made, and `DIGEST.json`, the
marker that it is whole, whose time is that of the last use. A directory without a marker, and one that does not hold
what its marker says, is damaged; whoever holds `DIGEST.lock` removes and remakes it. `KEY.answer` remembers what apt
would install for some relations.
"""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deb_mock.failures import FailureClass, failure
from deb_mock.host.tree_sizes import tree_contents, tree_size_bytes
from deborch_shared import locks
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.record import boot_id, remove_trees

File = tuple[str, str, str]
"""(name, size, digest) as apt prints it."""
MARKER = ".json"
_GONE = ".gone-"
_DEEPEST = 6
"""Layers on one another: overlayfs takes a page of mount options, and each layer costs a little at every look-up."""
_NOT_KEPT = ("var/lib/apt", "var/cache/apt", "var/cache/ldconfig", "var/log/apt", "var/log/dpkg.log", "build")
"""Of a layer. Without apt's own state the lists of the base show through, whichever generation that is."""


@dataclass(frozen=True, slots=True)
class LayerMarker:
    """What is known of a layer that is whole."""

    digest: str
    files: tuple[File, ...]
    parents: tuple[str, ...]
    """Layers below it, nearest first."""
    count: int
    length_bytes: int
    size_bytes: int
    made_at_s: float
    boot_id: str
    settings: tuple[str, ...] = ()
    """Of apt, that shaped what the packages installed."""


@dataclass(frozen=True, slots=True)
class LayerContents:
    """What is in a layer that was just made."""

    files: tuple[File, ...]
    parents: tuple[str, ...] = ()
    """Layers below it, nearest first."""
    with_apt_state: bool = False
    """Whether what `_NOT_KEPT` names is kept in it."""
    settings: tuple[str, ...] = ()
    """Of apt, that shaped what the packages installed."""


@dataclass(frozen=True, slots=True)
class FoundLayer:
    """A layer with those below it, nearest first."""

    chain: tuple[Path, ...]
    made: bool
    """False: it was there already."""


Making = Callable[[Path], Awaitable[LayerContents]]
"""Makes the directory of a layer, which does not exist yet."""


class LayerStore:
    """The layers on one tree."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @asynccontextmanager
    async def made_once(self, digest: str, make: Making, *, on_wait: Callable[[], None]) -> AsyncIterator[FoundLayer]:
        """The layer of that name, by `make` unless it is there and whole; nobody removes it before the end.

        Whoever is first makes it, and the others wait, which `on_wait` is told.

        Raises:
            DeborchError: CHROOT_FAILED (temporary) if the layer is damaged and a buildroot uses it.
        """
        async with AsyncExitStack() as held:
            chain = await held.enter_async_context(self.found(digest))
            made = False
            if chain is None:
                async with locks.exclusive(self.lock(digest), on_wait=on_wait, remove=True):
                    chain = await held.enter_async_context(self.found(digest))
                    if chain is None:
                        chain, made = await self._make(digest, make, held), True
            yield FoundLayer(chain, made)

    async def _make(self, digest: str, make: Making, held: AsyncExitStack) -> tuple[Path, ...]:
        if not await self.remove(digest):
            raise failure(
                FailureClass.CHROOT,
                ErrorCode.CHROOT_FAILED,
                f"the dependency layer {digest} is damaged, and a build uses it",
                hint="try again once that build has ended: the layer is made anew then",
            )
        contents = await make(self.directory / digest)
        chain = (self.directory / digest, *(self.directory / parent for parent in contents.parents))
        if not held.enter_context(self.in_use(chain)):
            raise removed_meanwhile()
        await asyncio.to_thread(self.complete, digest, contents)
        return chain

    @asynccontextmanager
    async def found(self, digest: str) -> AsyncIterator[tuple[Path, ...] | None]:
        """As `find`, and nobody removes them before the end."""
        chain = await asyncio.to_thread(self.find, digest)
        with ExitStack() as held:
            if chain is not None and not held.enter_context(self.in_use(chain)):
                held.close()
                chain = None
            yield chain

    def find(self, digest: str) -> tuple[Path, ...] | None:
        """The layer of that name and those below it, nearest first; None if there is none, or it is damaged."""
        marker = self.marker(digest)
        if marker is None:
            return None
        chain = [marker, *(self.marker(parent) for parent in marker.parents)]
        if any(each is None or not self._is_whole(each) for each in chain):
            return None
        self._touch((digest, *marker.parents))
        return tuple(self.directory / name for name in (digest, *marker.parents))

    def largest_subset(self, files: Iterable[File], settings: tuple[str, ...] = ()) -> str | None:
        """The layer with the most of `files` and nothing else, made with the same settings.

        Never one with more: a missing build dependency that it happens to hold would not be noticed.
        """
        wanted = frozenset(files)
        best: LayerMarker | None = None
        for marker in self.markers():
            alike = marker.settings == settings and wanted.issuperset(marker.files)
            fits = alike and len(marker.parents) + 1 < _DEEPEST
            if fits and (best is None or len(marker.files) > len(best.files)):
                best = marker
        return best.digest if best else None

    def markers(self) -> Iterator[LayerMarker]:
        """Every layer that says it is whole."""
        for path in sorted(self.directory.glob(f"*{MARKER}")):
            if (marker := self.marker(path.stem)) is not None:
                yield marker

    def marker(self, digest: str) -> LayerMarker | None:
        try:
            content = json.loads((self.directory / f"{digest}{MARKER}").read_text())
            files = tuple((str(name), str(size), str(known)) for name, size, known in content.pop("files"))
            parents, settings = tuple(content.pop("parents")), tuple(content.pop("settings", ()))
            return LayerMarker(files=files, parents=parents, settings=settings, **content)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def used_at_s(self, digest: str) -> float:
        """When the layer was last given to a build."""
        try:
            return (self.directory / f"{digest}{MARKER}").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def complete(self, digest: str, contents: LayerContents) -> None:
        """The directory `digest` is there and nobody writes to it any more: make it a layer."""
        layer = self.directory / digest
        for name in () if contents.with_apt_state else _NOT_KEPT:
            _discard(layer, name)
        count, length_bytes = tree_contents(layer)
        self._write(
            LayerMarker(
                digest=digest,
                files=contents.files,
                parents=contents.parents,
                count=count,
                length_bytes=length_bytes,
                size_bytes=tree_size_bytes(layer),
                made_at_s=time.time(),
                boot_id=boot_id(),
                settings=contents.settings,
            )
        )

    @contextmanager
    def in_use(self, layers: Iterable[Path]) -> Iterator[bool]:
        """Keep `layers` from being removed meanwhile; False if one of them is gone."""
        with ExitStack() as stack:
            yield all(stack.enter_context(locks.directory_if_free(layer, alone=False)) for layer in layers)

    async def remove(self, digest: str) -> bool:
        """Remove a layer, whole or damaged, unless a build uses it; tells whether."""
        layer = self.directory / digest
        marker = self.directory / f"{digest}{MARKER}"
        if not layer.exists():
            marker.unlink(missing_ok=True)
            return True
        with locks.directory_if_free(layer, alone=True) as free:
            if not free:
                return False
            marker.unlink(missing_ok=True)
            gone = self.directory / f"{_GONE}{digest}-{secrets.token_hex(4)}"
            layer.rename(gone)
        await remove_trees((gone,))
        return True

    async def recover(self) -> tuple[str, ...]:
        """Remove what was being removed, and directories whose maker died before they were whole; their names."""
        abandoned = list(self.directory.glob(f"{_GONE}*"))
        await remove_trees(abandoned)
        removed = [path.name for path in abandoned]
        for path in self.directory.iterdir():
            if path.name.startswith(".") or not path.is_dir() or self.marker(path.name) is not None:
                continue
            with locks.exclusive_if_free(self.lock(path.name)) as free:
                if free and self.marker(path.name) is None and await self.remove(path.name):
                    removed.append(path.name)
                    self.lock(path.name).unlink(missing_ok=True)
        return tuple(removed)

    def lock(self, digest: str) -> Path:
        """Held by whoever makes that layer."""
        return self.directory / f"{digest}.lock"

    def _is_whole(self, marker: LayerMarker) -> bool:
        """Whether the directory holds what the marker says. After a reboot lengths count as well: what was written
        shortly before a power cut may be there by name only."""
        count, length_bytes = tree_contents(self.directory / marker.digest)
        if count != marker.count:
            return False
        if marker.boot_id == boot_id():
            return True
        if length_bytes != marker.length_bytes:
            return False
        self._write(replace(marker, boot_id=boot_id()))
        return True

    def _write(self, marker: LayerMarker) -> None:
        path = self.directory / f"{marker.digest}{MARKER}"
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.write_text(json.dumps(asdict(marker)))
        temporary.rename(path)

    def _touch(self, digests: Iterable[str]) -> None:
        for digest in digests:
            with suppress(FileNotFoundError):
                os.utime(self.directory / f"{digest}{MARKER}")


def removed_meanwhile() -> DeborchError:
    """A layer went before it could be held."""
    return failure(
        FailureClass.CHROOT,
        ErrorCode.CHROOT_FAILED,
        "a dependency layer was removed meanwhile",
        hint="try again: it is made anew",
    )


class Answers:
    """What apt said, by question, so that it is not asked again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: str) -> str | None:
        """The name of the layer, empty if nothing has to be installed; None if the question is new."""
        try:
            return str(json.loads((self._directory / f"{key}.answer").read_text())["layer"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, layer: str) -> None:
        temporary = self._directory / f".{key}.{secrets.token_hex(4)}"
        temporary.write_text(json.dumps({"layer": layer}))
        temporary.rename(self._directory / f"{key}.answer")


def digest_of(content: object) -> str:
    """A name for JSON."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _discard(layer: Path, name: str) -> None:
    """Remove a path of a finished layer; a device among it stands for "removed from the base".

    What installing left is foreign: a directory on the way may be a link to one of the host, which is not followed.
    """
    *parents, last = name.split("/")
    with ExitStack() as stack:
        try:
            directory_fd = _open_directory(str(layer), None, stack)
            for parent in parents:
                directory_fd = _open_directory(parent, directory_fd, stack)
        except (FileNotFoundError, NotADirectoryError):
            return
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(last, dir_fd=directory_fd, follow_symlinks=False).st_mode):
                shutil.rmtree(last, dir_fd=directory_fd)
            else:
                os.unlink(last, dir_fd=directory_fd)


def _open_directory(name: str, parent_fd: int | None, stack: ExitStack) -> int:
    """Never through a link: with O_DIRECTORY one is NotADirectoryError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
    stack.callback(os.close, descriptor)
    return descriptor
