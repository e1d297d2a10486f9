"""Files that the treefile names, as they were when it was read: a record of the tree says that it was made of those."""

import hashlib

from deb_bootc_compose.ostree.tree import tree_failure
from deb_bootc_compose.treefile.resolved import ResolvedTreefile


def content_of(treefile: ResolvedTreefile, name: str) -> bytes:
    """Content of the file that the treefile calls `name`.

    Raises:
        DeborchError: CHECK_FAILED of class TREE if it has changed since the compose began.
    """
    content = (treefile.directory / name).read_bytes()
    expected = treefile.files.get(name)
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        raise tree_failure(
            f"{name} has changed since the compose began",
            hint="run compose again: what does not depend on it is not made again",
        )
    return content


def executables(treefile: ResolvedTreefile) -> list[str]:
    """Of `add-files`, those that are executable in the tree because they are beside the treefile."""
    return sorted(
        added.source for added in treefile.add_files if added.mode is None and is_executable(treefile, added.source)
    )


def is_executable(treefile: ResolvedTreefile, name: str) -> bool:
    return bool((treefile.directory / name).stat().st_mode & 0o111)
