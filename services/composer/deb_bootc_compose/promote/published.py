"""A repository that clients pull from, changed by one process at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.commits.repository import CommitInfo, OstreeRepository
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.promote.signing import SigningKey
from deb_bootc_compose.tools.port import Bound, Tools
from deb_bootc_compose.treefile.outputs import OstreeSettings
from deborch_shared import locks
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import OutputSink

LOCK_NAME = ".deb-bootc-compose.lock"
_LONGEST_HISTORY = 10_000


@dataclass(frozen=True, slots=True)
class Release:
    """One commit that is to be published."""

    ref: str
    commit: str
    parent: str | None
    """Where the ref has to be."""


class PublishedRepository:
    """One published repository. All that changes it is done in `alone`."""

    def __init__(
        self, directory: Path, tools: Tools, settings: OstreeSettings, key: SigningKey | None, on_output: OutputSink
    ) -> None:
        self._repository = OstreeRepository(directory, tools)
        self._settings = settings
        self._key = key
        self._on_output = on_output

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Make it if it is not there, and hold it until the end.

        Raises:
            DeborchError: CONFLICT of class SIGNATURE if it is signed and there is no key to go on with.
        """
        if self._key is None and (self._repository.directory / "summary.sig").exists():
            raise failure(
                FailureClass.SIGNATURE,
                ErrorCode.CONFLICT,
                f"{self._repository.directory} is signed, and there is no key to sign what changes in it",
                hint="name the key: `ostree: {sign: FINGERPRINT}` in the treefile, or --sign for rollback",
            )
        await self._repository.ensure(self._settings.mode, collection_id=self._settings.collection_id)
        async with locks.exclusive(self._repository.directory / LOCK_NAME, on_wait=lambda: None):
            yield

    async def resolve(self, ref: str) -> str | None:
        return await self._repository.resolve(ref)

    async def check(self, release: Release) -> bool:
        """Whether the ref has to move; False: it is there already.

        Raises:
            DeborchError: CONFLICT of class PROMOTION if it is at neither the commit nor its parent.
        """
        now = await self._repository.resolve(release.ref)
        if now == release.commit:
            return False
        if now == release.parent:
            return True
        raise failure(
            FailureClass.PROMOTION,
            ErrorCode.CONFLICT,
            f"the ref {release.ref} moved meanwhile: it was at {_shown(release.parent)} when the commit was made,"
            f" and is at {_shown(now)}",
            hint="compose again, so that the new commit follows that one; or roll the ref back first",
            ref=release.ref,
            expected=release.parent,
            found=now,
        )

    async def bring(self, release: Release, source: Path) -> None:
        """Have the commit with its signature and deltas; clients do not see it yet.

        A signature comes before deltas, which carry it.
        """
        await self._repository.ostree(
            "pull-local", str(source), release.commit, writes=True, bound=(Bound(source),), on_output=self._on_output
        )
        if self._key is not None:
            await self._key.sign_commit(self._repository, release.commit)
        for old in await self._deltas_from(release):
            await self._repository.ostree(
                "static-delta",
                "generate",
                f"--from={old}",
                f"--to={release.commit}",
                "--disable-bsdiff",
                "--if-not-exists",
                writes=True,
                on_output=self._on_output,
            )

    async def _deltas_from(self, release: Release) -> list[str]:
        if release.parent is None or self._settings.deltas.from_parents == 0:
            return []
        if not await self._repository.has_commit(release.parent):
            return []
        history = await self.history_of(release.parent, limit=self._settings.deltas.from_parents)
        return [info.commit for info in history]

    async def move(self, ref: str, commit: str) -> None:
        """Have clients see `commit`."""
        await self._repository.set_ref(ref, commit)

    async def has_summary_of(self, refs: Sequence[str]) -> bool:
        """Whether the summary was written after these refs moved."""
        heads = self._repository.directory / "refs" / "heads"

        def newer() -> bool:
            try:
                written = (self._repository.directory / "summary").stat().st_mtime_ns
                return all((heads / ref).stat().st_mtime_ns < written for ref in refs)
            except FileNotFoundError:
                return False

        return await asyncio.to_thread(newer)

    async def update_summary(self) -> None:
        """List refs and deltas for clients, signed if there is a key."""
        if self._key is not None:
            await self._key.update_summary(self._repository)
        else:
            await self._repository.ostree("summary", "--update", writes=True, on_output=self._on_output)

    async def prune(self, refs: Sequence[str]) -> None:
        """Forget commits of `refs` that are older than the last `keep`, and deltas to and from them."""
        for ref in refs:
            keep = self._settings.keep - 1
            await self._repository.ostree(
                "prune",
                "--refs-only",
                f"--only-branch={ref}",
                f"--depth={keep}",
                writes=True,
                on_output=self._on_output,
            )

    async def history(self, ref: str, *, limit: int = _LONGEST_HISTORY) -> list[CommitInfo]:
        """Commits of `ref`, newest first, as far back as they were kept.

        Raises:
            DeborchError: NOT_FOUND if there is no such ref.
        """
        head = await self._repository.resolve(ref)
        if head is None:
            raise DeborchError(
                ErrorCode.NOT_FOUND,
                f"there is no ref {ref} in {self._repository.directory}",
                hint="compose without --no-promote: its last phases publish it",
            )
        return await self.history_of(head, limit=limit)

    async def history_of(self, commit: str, *, limit: int) -> list[CommitInfo]:
        """`commit` and those before it, newest first."""
        found: list[CommitInfo] = []
        ahead: str | None = commit
        while ahead is not None and len(found) < limit and await self._repository.has_commit(ahead):
            info = await self._repository.show(ahead)
            found.append(info)
            ahead = info.parent
        return found


def _shown(commit: str | None) -> str:
    return f"commit {commit[:12]}" if commit else "no commit"
