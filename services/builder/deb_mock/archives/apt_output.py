"""How apt is run, and what its messages mean. All that depends on their wording is here."""

import re

from deb_mock.failures import FailureClass, failure
from deborch_shared.apt.faults import FaultKind, fault_in
from deborch_shared.apt.unmet import Why, unmet_lines
from deborch_shared.errors import DeborchError, ErrorCode

APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
PRINT_DOWNLOADS = ("--print-uris", "-o", "Dir::Cache::archives=/tmp/", "-o", "Acquire::ForceHash=SHA256")
"""What would be fetched, also what apt has already, with digests that can be relied on: alone it prints MD5."""
STRICT_UPDATE = ("-o", "APT::Update::Error-Mode=any")
"""Otherwise `apt-get update` succeeds although an archive cannot be reached, and a dep-wait would be claimed."""

_PRINTED_URI = re.compile(r"^'[^']*' (?P<file>\S+) (?P<size>\d+) (?P<digest>\S*)\s*$", re.MULTILINE)
_NO_SUITE = re.compile(r"^E: The repository '(?P<uri>\S+) (?P<suite>\S+) (?:In)?Release' does not have a", re.MULTILINE)
_ENDING_CHARACTERS = 800
_NO_CANDIDATE = re.compile(r"^E: Unable to locate package (?P<name>\S+)", re.MULTILINE)
_REMOVED = re.compile(r"^The following packages will be REMOVED:\n(?P<names>(?: .*\n)+)", re.MULTILINE)


def downloads(output: str) -> tuple[tuple[str, str, str], ...]:
    """The files that `apt-get --print-uris` would fetch: (name, size, digest), sorted."""
    return tuple(sorted((match["file"], match["size"], match["digest"]) for match in _PRINTED_URI.finditer(output)))


def removals(output: str) -> tuple[str, ...]:
    """The packages that apt would remove, sorted."""
    match = _REMOVED.search(output)
    return tuple(sorted(name.rstrip("*") for name in match["names"].split())) if match else ()


def unmet_relations(output: str) -> tuple[str, ...]:
    """The relations that apt says it cannot satisfy, each once, in its order; Conflicts as `!name`."""
    found = [match["name"] for match in _NO_CANDIDATE.finditer(output)]
    alternatives: list[str] = []
    for line in unmet_lines(output):
        alternatives.append(f"!{line.relation}" if line.why is Why.CONFLICT else line.relation)
        if line.last:
            found.append(" | ".join(alternatives))
            alternatives = []
    return tuple(dict.fromkeys(found))


def explain(output: str, *, doing: str, otherwise: FailureClass) -> DeborchError:
    """The error for a failed apt run: dep-wait with the relations, fetch-fault, or `otherwise`."""
    missing = unmet_relations(output)
    if missing:
        return failure(
            FailureClass.DEPENDENCY_WAIT,
            ErrorCode.DEPENDENCY_WAIT,
            f"build dependencies are not available: {', '.join(missing)}",
            hint="`deb-mock explain` says why; build what provides them, or add its archive (--extra-repository)",
            missing=list(missing),
        )
    refused = archive_failure(output, doing=doing)
    if refused is not None:
        return refused
    return failure(
        otherwise,
        ErrorCode.CHROOT_FAILED,
        f"{doing}: {ending(output)}",
        hint="the end of apt's output says why",
    )


def ending(output: str) -> str:
    """The end of `output` for a message, from the start of a line or at least of a word."""
    text = output.strip()
    if len(text) <= _ENDING_CHARACTERS:
        return text
    start = len(text) - _ENDING_CHARACTERS
    half = start + _ENDING_CHARACTERS // 2
    breaks = (text.find("\n", start - 1, half), text.find(" ", start - 1, half))
    found = next((at for at in breaks if at >= 0), start - 1)
    return text[found + 1 :]


def archive_failure(output: str, *, doing: str) -> DeborchError | None:
    """The error for an archive that could not be read or verified, or for the full disk in the way of that."""
    fault = fault_in(output)
    if fault is None:
        return None
    full = fault.kind is FaultKind.DISK_FULL
    lacking = _NO_SUITE.search(output)
    missing = lacking if fault.kind is FaultKind.NOT_THERE else None
    said = f"{missing['uri']} has no {missing['suite']}" if missing else ending(output)
    return failure(
        FailureClass.CHROOT if full else FailureClass.FETCH,
        ErrorCode.DISK_FULL if full else ErrorCode.FETCH_FAILED,
        f"{doing}: {fault.what}: {said}",
        hint=fault.hint,
    )
