"""One treefile for one variant and one architecture: everything merged, nothing left to decide."""

from pathlib import Path
from typing import Any

from deb_bootc_compose.digests import digest_of
from deb_bootc_compose.treefile.contents import Contents


class ResolvedTreefile(Contents):
    """What phases read. Paths of files beside the treefile are relative to `directory`."""

    name: str
    variant: str
    architecture: str
    directory: Path
    """Where the outermost treefile lies."""
    files: dict[str, str] = {}
    """Every file that this came from or that it names (relative to `directory`, or absolute): SHA-256."""
    documents: tuple[str, ...] = ()
    """Those of `files` that are treefiles, outermost first."""
    custom: dict[str, Any] = {}
    """Keys that begin with `x-`, and `metadata`: kept and exported."""

    suite: str
    ref: str
    output_name: str = "${name}-${variant}-${version}.${architecture}"

    @property
    def digest(self) -> str:
        """Of all that decides what is made: not where the treefile lies, nor how it is written."""
        content = self.model_dump(mode="json", exclude={"directory", "documents"})
        content["files"] = {name: sha256 for name, sha256 in self.files.items() if name not in self.documents}
        return digest_of(content)
