"""What is wrong with an archive that apt cannot read or verify, as one table: how apt says it, and what to do.

The order matters: apt says more than one of these about the same archive, and the first is the most exact.
"""

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What kind of fault, for who has more to say about it."""

    DISK_FULL = "disk-full"
    EXPIRED = "expired"
    HALF_UPDATED = "half-updated"
    SIGNATURE = "signature"
    NOT_THERE = "not-there"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class ArchiveFault:
    """A kind of fault, what it is, and what to do."""

    kind: FaultKind
    what: str
    hint: str
    signs: tuple[str, ...]
    """In apt's output, in LC_ALL=C."""


FAULTS: tuple[ArchiveFault, ...] = (
    ArchiveFault(
        FaultKind.DISK_FULL,
        "the disk is full",
        "free space in the cache and state directories (deb-mock clean, deb-mock scrub)",
        ("No space left on device", "You don't have enough free space"),
    ),
    ArchiveFault(
        FaultKind.EXPIRED,
        "the archive's Release file has expired, or is of the future",
        "check the clock of this machine, and whether the mirror is still updated; for an archive kept as it once was,"
        ' Acquire::Check-Valid-Until "false" in the host\'s apt configuration is carried into bases',
        ("is expired", "is not valid yet", "Release file is not valid"),
    ),
    ArchiveFault(
        FaultKind.HALF_UPDATED,
        "the archive is half updated: its index and its files do not belong together",
        "it is being updated, or a proxy keeps old files; try again in some minutes, or take another mirror",
        ("Hash Sum mismatch", "File has unexpected size", "Mirror sync in progress", "Hashes of expected file"),
    ),
    ArchiveFault(
        FaultKind.SIGNATURE,
        "the archive is not signed by a key that is trusted for it",
        "give its key in Signed-By of the .sources file, or the right keyring for the suite; is its package too old?",
        (
            "is not signed",
            "is no longer signed",
            "NO_PUBKEY",
            "BADSIG",
            "EXPKEYSIG",
            "REVKEYSIG",
            "signatures were invalid",
            "Missing key",
            "Sub-process /usr/bin/sqv returned an error",
        ),
    ),
    ArchiveFault(
        FaultKind.NOT_THERE,
        "the archive has no such suite, component or file",
        "check the address and the name of the suite (--suite, --mirror, URIs and Suites of a .sources file)",
        (
            "404  Not Found",
            "does not have a Release file",
            "404 Not Found",
            "Unable to find expected entry",
            "File not found",
        ),
    ),
    ArchiveFault(
        FaultKind.UNREACHABLE,
        "the archive cannot be reached",
        "check the network, the proxy variables and the address",
        (
            "Could not resolve",
            "Temporary failure resolving",
            "Could not connect",
            "Unable to connect",
            "Connection timed out",
            "Connection refused",
            "certificate verification failed",
            "certificate verify failed",
            "Failed to fetch",
            "Unable to fetch",
        ),
    ),
)


def fault_in(output: str) -> ArchiveFault | None:
    """The fault that apt's output tells of, if any."""
    return next((fault for fault in FAULTS if any(sign in output for sign in fault.signs)), None)
