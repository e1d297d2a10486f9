"""Which packages a treefile asks for, and in which way apt is told."""

import re

from deb_bootc_compose.archives.writing import ORIGIN
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.treefile.packages import InitramfsGenerator, Preference
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode, bounded

ESSENTIAL = "?narrow(?architecture({architecture}),?essential)"
"""What mmdebstrap installs before all else, and with apt in its variant `apt`."""
BUILT_WINS = Preference(package="*", pin=f"release o={ORIGIN}", pin_priority=1001)
"""What was built for the compose comes before what archives have, whatever its version."""
_NEVER = -1
_REQUEST = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*[a-z0-9+.])(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+|/[A-Za-z0-9.+~-]+)?\Z"
)
_GENERATORS = {
    InitramfsGenerator.DRACUT: "dracut",
    InitramfsGenerator.INITRAMFS_TOOLS: "initramfs-tools",
}
_BOOTED = ("ostree", "ostree-boot")
"""Without these a tree does not find its deployment, and cannot be upgraded."""


def requests(treefile: ResolvedTreefile) -> tuple[str, ...]:
    """What apt is asked to install beside the essential packages: the treefile's packages, and what it implies.

    Raises:
        DeborchError: INVALID_INPUT of class TREEFILE for what is no name of a package.
    """
    named = names(treefile.packages)
    asked = [*treefile.packages, *(name for name in _implied(treefile) if name not in named)]
    return tuple(dict.fromkeys(["apt", *asked]))


def names(packages: tuple[str, ...]) -> frozenset[str]:
    """The names alone."""
    return frozenset(request_name(text) for text in packages)


def request_name(text: str) -> str:
    """The name in `NAME`, `NAME=VERSION`, `NAME/SUITE`.

    Raises:
        DeborchError: INVALID_INPUT of class TREEFILE if it is none of them: apt would take it for something else.
    """
    match = _REQUEST.match(text)
    if match is None:
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            f"packages: {bounded(text, 80)!r} is no package",
            hint="give NAME, NAME=VERSION or NAME/SUITE",
        )
    return match["name"]


def preferences(treefile: ResolvedTreefile) -> tuple[Preference, ...]:
    """The treefile's, and before them that what it excludes is never installed."""
    never = (
        Preference(package=request_name(name), pin="release *", pin_priority=_NEVER)
        for name in treefile.exclude_packages
    )
    return (*never, *treefile.preferences)


def _implied(treefile: ResolvedTreefile) -> tuple[str, ...]:
    if treefile.container or treefile.kernel is None:
        return ()
    generator = () if treefile.no_initramfs else (_GENERATORS[treefile.initramfs.generator],)
    return (treefile.kernel, *generator, *_BOOTED)
