"""Which state an archive is in: one digest over the InRelease files of its sources.

The files are asked for by apt's own downloader, so proxies, certificates and mirror lists of the host are obeyed.
Nothing is verified here: a changed digest only makes apt look, and apt verifies what it then reads.
"""

import hashlib
import json
import os
import pwd
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
from deborch_shared import process
from deborch_shared.sandbox import record

APT_HELPER = "/usr/lib/apt/apt-helper"
_STATE_DIGITS = 16
_VALID_UNTIL = re.compile(rb"^Valid-Until:(.*)$", re.MULTILINE)
_ASKING_TAKES_AT_MOST_S = 60.0
_IMPATIENT = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10")


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


def release_url(uri: str, suite: str) -> str:
    """Where the InRelease of a source is; a suite that ends in / is a flat archive (sources.list(5))."""
    if suite.endswith("/"):
        return f"{uri.rstrip('/')}/{suite.lstrip('/')}InRelease"
    return f"{uri.rstrip('/')}/dists/{suite}/InRelease"


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
        _let_apt_write(directory)
        files = [
            Path("/" + url.removeprefix("file:").lstrip("/")) if url.startswith("file:") else directory / str(number)
            for number, url in enumerate(urls)
        ]
        pairs = [(url, str(file)) for url, file in zip(urls, files, strict=True) if not url.startswith("file:")]
        if pairs:
            await process.run(
                [APT_HELPER, "-q", *_IMPATIENT, "download-file", *(word for pair in pairs for word in pair)],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment},
                timeout_s=_ASKING_TAKES_AT_MOST_S,
                check=False,
            )
        try:
            return tuple(file.read_bytes() for file in files)
        except OSError:
            return None


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


def _let_apt_write(directory: Path) -> None:
    """apt's downloaders run as a user of their own where there is one."""
    try:
        os.chown(directory, pwd.getpwnam("_apt").pw_uid, -1)
    except (KeyError, PermissionError):
        return
