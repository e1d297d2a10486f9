"""Files of the trees that composes committed, for as long as the work repository has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from deb_bootc_compose.commits.listing import CommittedFile, FileKind
from deb_bootc_compose.commits.repository import OstreeRepository


@dataclass(frozen=True, slots=True)
class CommittedTrees:
    """Implements `Trees`."""

    repository: OstreeRepository

    async def digests(self, commit: str) -> Mapping[str, str] | None:
        if not await self.repository.has_commit(commit):
            return None
        files = await self.repository.files_of(commit)
        return {path: _digest(file) for path, file in files.items()}


def _digest(file: CommittedFile) -> str:
    """Not the checksum of a directory: it is that of everything below it."""
    content = "" if file.kind is FileKind.DIRECTORY else file.checksum
    return f"{file.kind} {file.mode:o} {file.uid} {file.gid} {content} {file.target}"
