"""Errors for archives that cannot be read or verified: apt's full reason, the class, and what to do in a compose."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from deb_bootc_compose.archives.archive import Archive
from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared.apt.faults import FaultKind, fault_in
from deborch_shared.apt.redaction import redacted
from deborch_shared.errors import DeborchError, ErrorCode, bounded

_REASON = re.compile(r"^(?:E|W|Err): *(?P<reason>.+)$|^Err:\d+ (?P<error>.+(?:\n  .+)*)", re.MULTILINE)
_BEYOND = (
    "Some index files failed to download",
    "Updating from such a repository",
    "Problem unlinking",
    "Download is performed unsandboxed",
)
_UNKNOWN_KEY = re.compile(r"NO_PUBKEY (?P<key>[0-9A-F]+)|Missing key (?P<other>[0-9A-F]+)")
_CLASSES: Mapping[FaultKind, tuple[FailureClass, ErrorCode, str]] = MappingProxyType(
    {
        FaultKind.DISK_FULL: (
            FailureClass.HOST,
            ErrorCode.DISK_FULL,
            "free space where the state directory is (deb-bootc-compose gc)",
        ),
        FaultKind.EXPIRED: (
            FailureClass.SIGNATURE,
            ErrorCode.INVALID_SIGNATURE,
            "check the clock of this machine and whether the archive is still updated; for one that is kept as it once"
            " was, set check-valid-until: false in the treefile",
        ),
        FaultKind.HALF_UPDATED: (
            FailureClass.FETCH,
            ErrorCode.FETCH_FAILED,
            "it is being updated, or a proxy keeps old files; try again in some minutes, or take another mirror",
        ),
        FaultKind.SIGNATURE: (
            FailureClass.SIGNATURE,
            ErrorCode.INVALID_SIGNATURE,
            "give the archive's key in signed-by of the repository, or in keyrings of the treefile for the suite",
        ),
        FaultKind.NOT_THERE: (
            FailureClass.FETCH,
            ErrorCode.NOT_FOUND,
            "check suite, components, mirror and the uris of repositories in the treefile",
        ),
        FaultKind.UNREACHABLE: (
            FailureClass.FETCH,
            ErrorCode.FETCH_FAILED,
            "check the network, the proxy variables and the address",
        ),
    }
)

_COMPLAINTS = ("Err:", "E:", "W:")


def unreadable(output: str, archives: Sequence[Archive]) -> DeborchError:
    """The error for an `apt-get update` that did not succeed with these archives."""
    kind = fault_in(output)
    name, code, hint = _CLASSES[kind.kind if kind else FaultKind.UNREACHABLE]
    what = kind.what if kind else "the archives cannot be read"
    names = _concerned(output, archives)
    concerned = ", ".join(names)
    key = _UNKNOWN_KEY.search(output)
    return failure(
        name,
        code,
        f"{f'{concerned}: ' if concerned else ''}{what}: {reasons(output)}",
        hint=f"{hint} (the key is {key['key'] or key['other']})" if key else hint,
        archives=names,
    )


def _concerned(output: str, archives: Sequence[Archive]) -> list[str]:
    """Names of those that complaints of apt are about; it tells of the others too, that they are as before."""
    complaints = "\n".join(line for line in output.splitlines() if line.startswith(_COMPLAINTS))
    return [one.name for one in archives if one.uri.rstrip("/").replace("file:///", "file:/") in complaints]


def reasons(output: str) -> str:
    """What apt says went wrong, each once, in its words."""
    found = [(match["reason"] or match["error"] or "").strip() for match in _REASON.finditer(output)]
    kept = [text for text in found if not any(sign in text for sign in _BEYOND)]
    return bounded(redacted("; ".join(dict.fromkeys(" ".join(text.split()) for text in kept))) or output[-500:])
