"""A small flat repository of .debs: Packages and Release the same for the same .debs, signed by a key of its own.

The key is made for one repository and thrown away: whoever may change the repository could as well change its key, and
what has to be trusted is in the lock file.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from debian.deb822 import Deb822

from deb_bootc_compose.failures import FailureClass, failure
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode

KEY_FILE = "key.asc"
ORIGIN = "deb-bootc-compose"
_OF_INDICES = ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512")
_AT_ONCE = 4
_MAX_CONTROL_BYTES = 1 << 20
_TAKES_AT_MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class PlacedDeb:
    """A .deb for a repository: where it is, and how it is called there."""

    path: Path
    file_name: str
    sha256: str
    size_bytes: int


async def write_repository(debs: Sequence[PlacedDeb], directory: Path, controls: Path, epoch: int) -> None:
    """Make `directory`: hard links to `debs`, Packages, Release, InRelease, key.asc.

    `controls` keeps the control files of .debs by digest. `epoch` is the date of the Release file.
    """
    await asyncio.to_thread(directory.mkdir, parents=True)
    limit = asyncio.Semaphore(_AT_ONCE)

    async def stanza(deb: PlacedDeb) -> tuple[tuple[str, str], str]:
        async with limit:
            return _stanza(deb, await _control(deb, controls))

    stanzas = sorted(await asyncio.gather(*(stanza(deb) for deb in debs)))
    await asyncio.to_thread(_link_all, debs, directory)
    packages = "\n".join(text for _, text in stanzas).encode()
    (directory / "Packages").write_bytes(packages)
    release = (
        f"Origin: {ORIGIN}\nLabel: {ORIGIN}\nDate: {formatdate(epoch, usegmt=True)}\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    )
    (directory / "Release").write_text(release)
    await _sign(directory)


def control_fields(control: str) -> Deb822:
    """The fields of a control file."""
    return Deb822(control.splitlines())


async def _control(deb: PlacedDeb, controls: Path) -> str:
    kept = controls / deb.sha256[:2] / deb.sha256
    if kept.is_file():
        return kept.read_text()
    done = await process.run(
        ["dpkg-deb", "--field", str(deb.path)], timeout_s=_TAKES_AT_MOST_S, max_output_bytes=_MAX_CONTROL_BYTES
    )
    text = done.output.decode("utf-8", "replace")
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
    temporary.write_text(text)
    temporary.rename(kept)
    return text


def _stanza(deb: PlacedDeb, control: str) -> tuple[tuple[str, str], str]:
    fields = control_fields(control)
    for name in _OF_INDICES:
        fields.pop(name, None)
    fields["Filename"] = f"./{deb.file_name}"
    fields["Size"] = str(deb.size_bytes)
    fields["SHA256"] = deb.sha256
    return (deb.file_name, deb.sha256), str(fields)


def _link_all(debs: Iterable[PlacedDeb], directory: Path) -> None:
    for deb in debs:
        target = directory / deb.file_name
        try:
            os.link(deb.path, target)
        except OSError:  # another file system, or as many links as it takes
            shutil.copyfile(deb.path, target)


async def _sign(directory: Path) -> None:
    """In a key ring below the system's temporary directory: the agent's socket needs a short path."""
    home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="deborch-gpg-"))
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-options", "--pinentry-mode", "loopback"]
    made = ["--passphrase", "", "--quick-generate-key", ORIGIN, "ed25519", "sign", "never"]
    try:
        await _gpg([*gpg, *made])
        await _gpg([*gpg, "--armor", "--output", str(directory / KEY_FILE), "--export"])
        await _gpg([*gpg, "--clearsign", "--output", str(directory / "InRelease"), str(directory / "Release")])
    finally:
        await process.run(["gpgconf", "--homedir", str(home), "--kill", "all"], timeout_s=_TAKES_AT_MOST_S, check=False)
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


async def _gpg(argv: list[str]) -> None:
    try:
        await process.run(argv, timeout_s=_TAKES_AT_MOST_S)
    except DeborchError as error:
        raise failure(
            FailureClass.HOST,
            ErrorCode.PROCESS_FAILED,
            f"the repository of the gathered packages could not be signed: {error.message}",
            hint="apt-get install gpg gpg-agent",
        ) from error
