"""Acts on published refs by themselves: their history, and back to an earlier commit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deb_bootc_compose.commits.repository import CommitInfo, checked_commit
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.promote.published import PublishedRepository
from deb_bootc_compose.promote.signing import signing_key
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.treefile.outputs import OstreeSettings
from deborch_shared.errors import ErrorCode
from deborch_shared.process import OutputSink

_SHORTEST_PREFIX = 8
"""Of a commit, to name it by."""


@asynccontextmanager
async def open_published(
    directory: Path, tools: Tools, settings: OstreeSettings, on_output: OutputSink, *, sign: bool
) -> AsyncIterator[PublishedRepository]:
    """The repository at `directory`, with the key that `settings` names if `sign`.

    Raises:
        DeborchError: NOT_FOUND of class SIGNATURE if that key is not there.
    """
    async with signing_key(settings.sign if sign else None, tools) as key:
        yield PublishedRepository(directory, tools, settings, key, on_output)


async def history(directory: Path, tools: Tools, ref: str, *, limit: int = 1000) -> list[CommitInfo]:
    """Versions of `ref` that the repository at `directory` has, newest first.

    Raises:
        DeborchError: NOT_FOUND if there is no such ref.
    """
    return await PublishedRepository(directory, tools, OstreeSettings(), None, _unheard).history(ref, limit=limit)


async def roll_back(
    published: PublishedRepository, ref: str, *, to: str | None = None, expected: str | None = None
) -> tuple[str, str]:
    """Have `ref` at an earlier commit again: `to`, a commit or a version in its history, or the one before.

    `expected`: where the ref has to be now.

    Returns:
        The commit that it was at, and the one that it is at.

    Raises:
        DeborchError: NOT_FOUND of class PROMOTION if it has no such commit; CONFLICT if it is not at `expected`.
    """
    await published.history(ref, limit=1)
    async with published.alone():
        commits = await published.history(ref)
        if expected is not None and commits[0].commit != checked_commit(expected):
            raise failure(
                FailureClass.PROMOTION,
                ErrorCode.CONFLICT,
                f"the ref {ref} moved meanwhile: it is at commit {commits[0].commit[:12]}",
                hint="look at its history again",
                found=commits[0].commit,
            )
        chosen = _chosen(commits, to)
        if chosen is None:
            known = ", ".join(info.version or info.commit[:12] for info in commits[1:11]) or "none"
            raise failure(
                FailureClass.PROMOTION,
                ErrorCode.NOT_FOUND,
                f"{ref} has no earlier commit {to}" if to else f"{ref} has no earlier commit",
                hint=f"earlier ones that were kept: {known}",
            )
        await published.move(ref, chosen)
        await published.update_summary()
        return commits[0].commit, chosen


def _chosen(commits: list[CommitInfo], to: str | None) -> str | None:
    for info in commits[1:]:
        if to is None or to == info.version or (len(to) >= _SHORTEST_PREFIX and info.commit.startswith(to)):
            return info.commit
    return None


def _unheard(_: bytes) -> None:
    pass
