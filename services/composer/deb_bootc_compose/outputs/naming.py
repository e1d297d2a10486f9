"""Names of what comes out."""

import re
from string import Template

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.facts import OstreeFacts
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import ErrorCode

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}\Z")


def output_name(treefile: ResolvedTreefile, ostree: OstreeFacts) -> str:
    """The file name of an output without its suffix, from `output-name` of the treefile.

    Raises:
        DeborchError: INVALID_INPUT if that names no file, or uses a variable that is not there.
    """
    known = {
        "name": treefile.name,
        "variant": treefile.variant,
        "architecture": treefile.architecture,
        "suite": treefile.suite,
        "version": ostree.version,
    }
    try:
        name = Template(treefile.output_name).substitute(known)
    except (KeyError, ValueError) as error:
        raise _unusable(treefile.output_name, f"it can use {', '.join(f'${{{key}}}' for key in known)}") from error
    if _FILE_NAME.match(name) is None:
        raise _unusable(name, "a file name has letters, digits and ._+~- and no directory")
    return name


def _unusable(name: str, hint: str) -> Exception:
    return failure(
        FailureClass.TREEFILE,
        ErrorCode.INVALID_INPUT,
        f"output-name {name!r} names no file",
        hint=hint,
        key="output-name",
    )
