"""Commits as an OSTree remote has them: brought into an archive-mode repository, signed, and listed by object."""

import asyncio
import re
from pathlib import Path

from deb_bootc_compose.commits.repository import OstreeRepository, checked_commit
from deb_bootc_compose.promote.acts import open_published
from deb_bootc_compose.promote.published import Release
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.treefile.outputs import OstreeMode, OstreeSettings

_LINE = re.compile(rb"([-dl])[0-7]{5} \d+ \d+ +\d+ ([0-9a-f]{64})(?: ([0-9a-f]{64}))? /", re.MULTILINE)
"""What `ostree ls -R -C` says of one file: a directory has the checksums of its content and of its attributes."""


async def brought(commit: str, state: State, tools: Tools, settings: OstreeSettings) -> None:
    """Have `commit` in the published repository of `state`, signed if the treefile says so; no ref moves."""
    wanted = settings.model_copy(update={"mode": OstreeMode.ARCHIVE})
    opened = open_published(state.published_repository, tools, wanted, _unheard, sign=True)
    async with opened as published, published.alone():
        await published.bring(Release("", commit, None), state.work_repository)


class CommitObjects:
    """An `ObjectSource` of commits in an archive-mode repository."""

    def __init__(self, repository: OstreeRepository) -> None:
        self._repository = repository
        self.names: list[str] = []

    async def add(self, commits: list[str]) -> None:
        """List the objects of `commits`, each once."""
        names = dict.fromkeys(self.names)
        for commit in commits:
            chunks: list[bytes] = []
            await self._repository.ostree("ls", "-R", "-C", checked_commit(commit), on_output=chunks.append)
            names |= dict.fromkeys(await asyncio.to_thread(_objects_in, b"".join(chunks)))
            for name in (f"{commit}.commitmeta", f"{commit}.commit"):
                if await asyncio.to_thread((await self.path_of(name)).exists):
                    names[name] = None
        self.names = list(names)

    async def path_of(self, name: str) -> Path:
        return self._repository.directory / "objects" / name[:2] / name[2:]


def _objects_in(listing: bytes) -> list[str]:
    """Files first: a directory names them."""
    files: list[str] = []
    directories: list[str] = []
    for kind, checksum, attributes in _LINE.findall(listing):
        if kind == b"d":
            directories += [f"{attributes.decode()}.dirmeta", f"{checksum.decode()}.dirtree"]
        else:
            files.append(f"{checksum.decode()}.filez")
    return [*files, *directories]


def _unheard(_: bytes) -> None:
    pass
