"""Which disk is meant: a file, or an output of a compose."""

from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.deliverables import IMAGES
from deb_bootc_compose.state.compose_directory import open_compose
from deb_bootc_compose.state.layout import State
from deborch_shared.errors import DeborchError, ErrorCode

_FORMATS = {".raw": "raw", ".img": "raw", ".qcow2": "qcow2"}


@dataclass(frozen=True, slots=True)
class FoundDisk:
    """`architecture` is known of what is in a compose."""

    path: Path
    format: str
    variant: str = ""
    architecture: str = ""


def chosen_disk(state: State, what: str, variant: str | None) -> FoundDisk:
    """The file `what`, or the disk of the compose `what`; of raw and qcow2 the first.

    Raises:
        DeborchError: NOT_FOUND, or CONFLICT if several variants have one.
    """
    path = Path(what)
    if path.suffix in _FORMATS or "/" in what:
        return _file(path)
    compose = open_compose(state, what)
    places = sorted(
        compose.tree.glob(f"*/*/{IMAGES}/*"),
        key=lambda place: (list(_FORMATS).index(place.suffix) if place.suffix in _FORMATS else 0, place),
    )
    found = [
        FoundDisk(place.resolve(), _FORMATS[place.suffix], place.parts[-4], place.parts[-3])
        for place in places
        if place.suffix in _FORMATS
    ]
    wanted = [disk for disk in found if variant is None or disk.variant == variant]
    if not wanted:
        raise _no_disk(what, variant)
    if len({disk.variant for disk in wanted}) > 1 or len({disk.architecture for disk in wanted}) > 1:
        names = ", ".join(sorted({f"{disk.variant} for {disk.architecture}" for disk in wanted}))
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.CONFLICT,
            f"{what} has several disks: {names}",
            hint="choose one by --variant, or give the path of its file",
        )
    return wanted[0]


def _file(path: Path) -> FoundDisk:
    if not path.is_file():
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.NOT_FOUND,
            f"there is no disk {path}",
            hint="give the path of a .raw or .qcow2 file, or the id of a compose",
        )
    return FoundDisk(path.absolute(), _FORMATS.get(path.suffix, "raw"))


def _no_disk(what: str, variant: str | None) -> DeborchError:
    of_variant = f" of the variant {variant}" if variant else ""
    return failure(
        FailureClass.TREEFILE,
        ErrorCode.NOT_FOUND,
        f"{what} has no raw or qcow2 disk{of_variant}",
        hint="add raw to `outputs:` of the treefile, or compose it with --output raw",
    )
