"""Files of the trees that composes committed, for as long as the work repository has them."""

from collections.abc import Mapping
from dataclasses import dataclass

from deb_bootc_compose.commits.repository import OstreeRepository


@dataclass(frozen=True, slots=True)
class CommittedTrees:
    """Implements `Trees`."""

    repository: OstreeRepository

    async def digests(self, commit: str) -> Mapping[str, str] | None:
        if not await self.repository.has_commit(commit):
            return None
        files = await self.repository.files_of(commit)
        return {path: f"{file.kind} {file.mode} {file.checksum} {file.target}" for path, file in files.items()}
