"""One OSTree repository, read and written by ostree of the tools root."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deb_bootc_compose.commits.listing import CommittedFile, FileKind, parse_listing
from deb_bootc_compose.state.whole_files import write_whole
from deb_bootc_compose.tools.port import Bound, Tools
from deb_bootc_compose.treefile.outputs import OstreeMode
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import OutputSink, ProcessResult

_CHECKSUM = re.compile(r"[0-9a-f]{64}\Z")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z")
"""What libostree takes for the name of a ref."""
_TAKES_AT_MOST_S = 1800.0


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """What `ostree show` says first."""

    commit: str
    content_checksum: str
    parent: str | None
    version: str | None
    epoch: int
    """Seconds since 1970."""


class OstreeRepository:
    """A repository on this machine. Nothing is kept here: two objects for one directory do no harm."""

    def __init__(self, directory: Path, tools: Tools) -> None:
        self.directory = directory
        self._tools = tools

    async def ensure(self, mode: OstreeMode, *, collection_id: str | None = None) -> None:
        """Make it if it is not there.

        Raises:
            DeborchError: CONFLICT if it is there in another mode.
        """
        config = self.directory / "config"
        if await asyncio.to_thread(config.is_file):
            found = _mode_of(await asyncio.to_thread(config.read_text))
            if found != mode.value:
                raise DeborchError(
                    ErrorCode.CONFLICT,
                    f"{self.directory} is an OSTree repository of mode {found}, and should be of mode {mode}",
                    hint="set `ostree: mode` of the treefile to it, or name another directory",
                )
            return
        await asyncio.to_thread(lambda: self.directory.mkdir(parents=True, exist_ok=True))
        collection = ("--collection-id", collection_id) if collection_id else ()
        await self.ostree("init", f"--mode={mode}", *collection, writes=True)

    async def ostree(
        self,
        command: str,
        *arguments: str,
        writes: bool = False,
        beside: Path | None = None,
        bound: Sequence[Bound] = (),
        env: Mapping[str, str] | None = None,
        on_output: OutputSink | None = None,
        check: bool = True,
    ) -> ProcessResult:
        """Run `ostree COMMAND --repo=...`. It may link and rename between the repository and the directory `beside`.

        Raises:
            DeborchError: what `deborch_shared.process.run` raises.
        """
        return await self._tools.run(
            ["ostree", command, f"--repo={self.directory}", *arguments],
            bound=(self._bound(beside, writes=writes), *bound),
            env=env,
            on_output=on_output,
            timeout_s=_TAKES_AT_MOST_S,
            check=check,
        )

    def _bound(self, beside: Path | None, *, writes: bool) -> Bound:
        """Links and renames do not work from one mount to another, so one has to hold both."""
        if beside is None:
            return Bound(self.directory, writable=writes)
        both = Path(os.path.commonpath([self.directory, beside]))
        if both == Path("/"):
            raise DeborchError(
                ErrorCode.INVALID_INPUT,
                f"{beside} is too far from the repository {self.directory} for hard links",
                hint="use a directory in the state directory",
            )
        return Bound(both, writable=True)

    async def resolve(self, ref: str) -> str | None:
        """The commit that `ref` is at; None: there is no such ref, or no repository."""
        checked_ref(ref)
        place = self.directory / "refs" / "heads" / ref
        text = await asyncio.to_thread(_read_or_none, place)
        return text.strip() if text is not None else None

    async def has_commit(self, commit: str) -> bool:
        """Whether the commit object is there, and not known to be partial."""
        name = checked_commit(commit)
        present = self.directory / "objects" / name[:2] / f"{name[2:]}.commit"
        partial = self.directory / "state" / f"{name}.commitpartial"
        return await asyncio.to_thread(lambda: present.is_file() and not partial.exists())

    async def files_of(self, commit: str) -> dict[str, CommittedFile]:
        """Everything in `commit`, by absolute path. ostree is asked once: a commit never changes."""
        kept = self.listings / checked_commit(commit)
        listing = await asyncio.to_thread(_bytes_or_none, kept) if await self.has_commit(commit) else None
        if listing is None:
            chunks: list[bytes] = []
            await self.ostree("ls", "-R", "-C", commit, on_output=chunks.append)
            listing = b"".join(chunks)
            with suppress(OSError):  # of use, and not needed: a repository that is only read has none
                await asyncio.to_thread(write_whole, kept, listing)
        files = await asyncio.to_thread(lambda: list(parse_listing(listing)))
        return {file.path: file for file in files}

    @property
    def listings(self) -> Path:
        """What is in a commit, by its checksum; `extensions` is where libostree leaves room for others."""
        return self.directory / "extensions" / "deb-bootc-compose" / "listings"

    async def forget_listings(self) -> None:
        """Of commits that are not there any more."""
        listed = await asyncio.to_thread(lambda: [path.name for path in self.listings.glob("[0-9a-f]*")])
        for commit in listed:
            if not await self.has_commit(commit):
                (self.listings / commit).unlink(missing_ok=True)

    async def is_whole(self, commit: str) -> bool:
        """Whether `commit` is there with every object that it names, at its full size. For bare repositories."""
        if not await self.has_commit(commit):
            return False
        try:
            files = await self.files_of(commit)
        except DeborchError as error:
            if error.code is ErrorCode.PROCESS_FAILED:
                return False
            raise
        return await asyncio.to_thread(lambda: all(self._is_there(file) for file in files.values()))

    def _is_there(self, file: CommittedFile) -> bool:
        try:
            found = (self.directory / "objects" / file.object_name).lstat()
        except FileNotFoundError:
            return False
        return file.kind is not FileKind.FILE or found.st_size == file.size_bytes

    async def show(self, commit: str) -> CommitInfo:
        """The head of `commit`.

        Raises:
            DeborchError: PROCESS_FAILED if it is not there.
        """
        shown = await self.ostree("show", checked_commit(commit))
        text = shown.output.decode("utf-8", "replace")

        def field(name: str) -> str | None:
            found = re.search(rf"^{name}: *(.+)$", text, re.MULTILINE)
            return found[1].strip() if found else None

        return CommitInfo(
            commit=commit,
            content_checksum=field("ContentChecksum") or "",
            parent=field("Parent"),
            version=field("Version"),
            epoch=_seconds(field("Date")),
        )

    async def read(self, commit: str, path: str) -> bytes | None:
        """Content of the file at the absolute `path` of `commit`; None: no such file."""
        read = await self.ostree("cat", checked_commit(commit), path, check=False)
        return read.output if read.returncode == 0 else None

    async def checkout(self, commit: str, directory: Path) -> None:
        """The tree of `commit` in the new directory `directory`: hard links, so on one file system, and not to be
        written to. Files of the same content and attributes are one file; empty ones are files of their own.

        Raises:
            DeborchError: PROCESS_FAILED; nothing is left then.
        """
        await asyncio.to_thread(lambda: directory.parent.mkdir(parents=True, exist_ok=True))
        arguments = ("--require-hardlinks", "--force-copy-zerosized", checked_commit(commit), str(directory))
        try:
            await self.ostree("checkout", *arguments, beside=directory.parent)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
            raise

    async def set_ref(self, ref: str, commit: str) -> None:
        """Have `ref` at `commit`, wherever it was."""
        if await self.resolve(ref) == checked_commit(commit):
            return
        await self.ostree("refs", f"--create={checked_ref(ref)}", "--force", checked_commit(commit), writes=True)

    async def delete_ref(self, ref: str) -> None:
        """Let go of what `ref` keeps; it need not exist."""
        await self.ostree("refs", "--delete", checked_ref(ref), writes=True)


def checked_commit(commit: str) -> str:
    """`commit`, if it can be one."""
    if _CHECKSUM.match(commit) is None:
        raise DeborchError(
            ErrorCode.INVALID_INPUT, f"{commit[:80]!r} is no commit", hint="a commit is named by 64 hexadecimal digits"
        )
    return commit


def checked_ref(ref: str) -> str:
    """`ref`, if OSTree takes it for the name of one."""
    if _REF.match(ref) is None:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"{ref[:200]!r} is no name of an OSTree ref",
            hint="letters, digits, '_', '.', '-' in parts with '/' between, such as debian/trixie/amd64/minimal",
        )
    return ref


def _seconds(date: str | None) -> int:
    return int(datetime.strptime(date, "%Y-%m-%d %H:%M:%S %z").timestamp()) if date else 0


def _bytes_or_none(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except OSError:
        return None


def _read_or_none(place: Path) -> str | None:
    try:
        return place.read_text()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _mode_of(config: str) -> str | None:
    found = re.search(r"^mode=(\S+)$", config, re.MULTILINE)
    return {"archive-z2": "archive"}.get(found[1], found[1]) if found else None
