"""Which state an archive is in: one digest over the InRelease files of its sources.

Nothing is verified here: a changed digest only makes apt look, and apt verifies what it then reads.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from debian.deb822 import Deb822

from deb_mock.archives.repositories import repository_uris
from deb_mock.model import ExtraRepository
from deborch_shared.apt.releases import fetch_releases, release_url
from deborch_shared.sandbox import record

_STATE_DIGITS = 16
_VALID_UNTIL = re.compile(rb"^Valid-Until:(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found the last time that somebody asked, kept beside the bases."""

    state: str
    at_s: float
    """Seconds since the epoch."""

    @classmethod
    def read(cls, path: Path) -> "Checked | None":
        try:
            content = json.loads(path.read_text())
            return cls(str(content["state"]), float(content["at_s"]))
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def write(self, path: Path) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.write_text(json.dumps({"state": self.state, "at_s": self.at_s}))
        temporary.rename(path)


def repository_urls(repositories: Sequence[ExtraRepository]) -> list[str]:
    """Where the InRelease files of extra repositories are."""
    found = []
    for repository in repositories:
        suites = str(Deb822(repository.deb822.splitlines()).get("Suites", "")).split()
        found += [release_url(uri, suite) for uri in repository_uris(repository) for suite in suites]
    return found


async def read_releases(urls: Sequence[str], scratch: Path, environment: Mapping[str, str]) -> tuple[bytes, ...] | None:
    """The InRelease files at `urls`; None if not all of them can be had.

    `scratch` is a directory of sandbox records, below which the files are put for a moment.
    """
    name = f"release-{secrets.token_hex(6)}"
    directory = scratch / name
    async with record.owned(scratch, name, [directory]):
        directory.mkdir(mode=0o755)
        return await fetch_releases(urls, directory, environment)


async def current_state(urls: Sequence[str], scratch: Path, environment: Mapping[str, str]) -> str | None:
    """The state of the archives with these InRelease files; None if not all of them can be had."""
    contents = await read_releases(urls, scratch, environment)
    return None if contents is None else state_of(contents)


def listed_state(root: Path) -> str:
    """The state of the archives whose lists apt has in `root`; empty if one of them has no InRelease."""
    lists = root / "var/lib/apt/lists"
    if any(lists.glob("*_Release")):
        return ""
    return state_of(path.read_bytes() for path in lists.glob("*_InRelease"))


def state_of(contents: Iterable[bytes]) -> str:
    """One digest for InRelease files, in whatever order; empty for none."""
    return state_of_digests(hashlib.sha256(content).hexdigest() for content in contents)


def state_of_digests(digests: Iterable[str]) -> str:
    """The same from the SHA-256 of each file."""
    known = sorted(digests)
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:_STATE_DIGITS] if known else ""


def is_expired(content: bytes, now: datetime) -> bool:
    """Whether an InRelease says that it is good for until some time before `now`."""
    match = _VALID_UNTIL.search(content)
    if match is None:
        return False
    try:
        return parsedate_to_datetime(match[1].decode("ascii", "replace").strip()) < now
    except ValueError:
        return True
