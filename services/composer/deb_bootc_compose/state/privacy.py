"""Who else on this machine may see what is in a state directory.

Trees have files of root with set-id bits, and shadow files; records say what treefiles say, such as password hashes.
What is delivered and published is for everyone.
"""

from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.trees import staging_place

_NOBODY_ELSE = 0o700
_BY_NAME_ALONE = 0o711
"""apt's downloaders, which are no root, write to directories in there whose names they are told."""


def keep_private(state: State) -> None:
    """Let nobody else look into trees, records and tools roots, in a state directory that is new or was open."""
    for directory in (state.work_repository, state.records, state.tools):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(_NOBODY_ELSE)
    staging = staging_place(state)
    staging.mkdir(parents=True, exist_ok=True)
    staging.chmod(_BY_NAME_ALONE)
