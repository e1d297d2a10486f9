"""The text of Release and of the `.sources` file. Pure.

Sources of the rules: the Debian repository format (Release), sources.list(5) and deb822(5) (`.sources`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from deborch_hub.archives.layout import COMPONENT


@dataclass(frozen=True, slots=True)
class FileSum:
    """A file that Release vouches for, its path below Release."""

    path: str
    sha256: str
    size_bytes: int


def release_text(
    *, target: str, origin: str, architectures: Sequence[str], at: datetime, files: Iterable[FileSum]
) -> bytes:
    """Release of the suite `target`.

    There is no Valid-Until: an archive that nothing is added to is not signed again, and must not expire.
    """
    fields = {
        "Origin": origin,
        "Label": target,
        "Suite": target,
        "Codename": target,
        "Date": format_datetime(at).replace("+0000", "UTC"),
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(architectures),
        "Components": COMPONENT,
        "Description": f"Packages built for the target {target}",
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    sums = [f" {file.sha256} {file.size_bytes:>12} {file.path}" for file in files]
    return ("\n".join([*lines, "SHA256:", *sums]) + "\n").encode()


def sources_text(*, target: str, uri: str, architectures: Sequence[str], public_key: str) -> str:
    """The ready-made `/etc/apt/sources.list.d/<target>.sources`; `public_key` is ASCII-armoured."""
    key = "\n".join(f" {line}" if line.strip() else " ." for line in public_key.strip().splitlines())
    return (
        f"Types: deb deb-src\nURIs: {uri}\nSuites: {target}\nComponents: {COMPONENT}\n"
        f"Architectures: {' '.join(architectures)}\nSigned-By:\n{key}\n"
    )
