"""What a compose delivers, put elsewhere by hard links or copies, with checksums that prove it."""

from collections.abc import Callable
from pathlib import Path

from deb_bootc_compose.digests import digest_of_file
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.state.compose_directory import ComposeDirectory
from deb_bootc_compose.state.whole_files import copy_whole, link_whole, write_whole
from deborch_shared.errors import ErrorCode

CHECKSUMS = "SHA256SUMS"


def export(
    compose: ComposeDirectory, directory: Path, *, copy: bool, on_file: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Put everything in `compose/` into `directory`, checksums last: with them there, it is whole. The names.

    Hard links, where the file system allows it, unless `copy`: whoever changes a linked file changes the compose.

    Raises:
        DeborchError: ALREADY_EXISTS if something else is there, CONFLICT if the compose has delivered nothing.
    """
    found = (str(path.relative_to(compose.tree)) for path in compose.tree.rglob("*") if path.is_file())
    names = sorted(name for name in found if name != CHECKSUMS)  # ours has everything that the compose's own has
    if not names:
        raise failure(
            FailureClass.OUTPUT,
            ErrorCode.CONFLICT,
            f"the compose {compose.compose_id} has delivered nothing yet",
            hint="`deb-bootc-compose list` shows how it stands",
        )
    if directory.exists() and any(path.name != CHECKSUMS for path in directory.iterdir()) and not _is_ours(directory):
        raise failure(
            FailureClass.OUTPUT,
            ErrorCode.ALREADY_EXISTS,
            f"{directory} is not empty, and not an export",
            hint="name a directory that is empty or not there",
        )
    lines = []
    for name in names:
        on_file(name)
        (copy_whole if copy else link_whole)(compose.tree / name, directory / name)
        lines.append(f"{digest_of_file(directory / name)}  {name}\n")
    write_whole(directory / CHECKSUMS, "".join(lines).encode())
    return names


def _is_ours(directory: Path) -> bool:
    return (directory / CHECKSUMS).is_file()
