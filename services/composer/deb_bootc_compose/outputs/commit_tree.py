"""A commit read where it lies: the files of a bare repository are its objects, so nothing is checked out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from deb_bootc_compose.commits.listing import CommittedFile
from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.tools.port import Tools


class CommitTree:
    """A tree as images and archives are made of it."""

    def __init__(self, repository: Path, files: Sequence[CommittedFile]) -> None:
        self._objects = repository / "objects"
        self._files = files

    @classmethod
    async def of(cls, repository: Path, commit: str, tools: Tools) -> Self:
        """The tree of `commit` in a repository of mode bare.

        Raises:
            DeborchError: PROCESS_FAILED if the commit is not there.
        """
        files = await OstreeRepository(repository, tools).files_of(commit)
        return cls(repository, tuple(files.values()))

    @property
    def files(self) -> Sequence[CommittedFile]:
        return self._files

    def content(self, file: CommittedFile) -> Path:
        return self._objects / file.object_name
