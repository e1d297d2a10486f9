"""Signing, as a port: a GnuPG key on disk today, a hardware module tomorrow."""

import asyncio
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from deborch_hub.store.disk import in_thread
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import run

_FINGERPRINT = re.compile(rb"^fpr:(?::*)([0-9A-F]{40}):", re.MULTILINE)
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Signatures:
    """The two forms in which apt takes a signature: InRelease and Release.gpg."""

    inline: bytes
    detached: bytes


class Signer(Protocol):
    """Signs Release files with one key."""

    @property
    def fingerprint(self) -> str:
        """40 upper-case hexadecimal digits."""

    @property
    def public_key(self) -> str:
        """ASCII-armoured."""

    async def sign(self, release: bytes) -> Signatures: ...


class GpgSigner:
    """A key in a GnuPG home of our own. Each use runs an agent and ends it: none is left behind."""

    def __init__(self, home: Path, fingerprint: str, public_key: str) -> None:
        self._home = home
        self._fingerprint = fingerprint
        self._public_key = public_key
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, home: Path, user_id: str) -> "GpgSigner":
        """The key in `home`; at first start it is made (ed25519, no passphrase, no expiry) for `user_id`.

        Processes that start at once take turns, so that they agree on one key.
        """
        with _lock_file(home) as lock:
            await in_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            with _gnupg(home) as gpg:
                try:
                    fingerprint = await gpg.fingerprint()
                    if fingerprint is None:
                        await gpg.run("--quick-generate-key", user_id, "ed25519", "sign", "never")
                        fingerprint = await gpg.fingerprint()
                    if fingerprint is None:
                        raise _no_key(home)
                    return cls(home, fingerprint, await gpg.public_key(fingerprint))
                finally:
                    await gpg.end_agent()

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def public_key(self) -> str:
        return self._public_key

    async def sign(self, release: bytes) -> Signatures:
        """Both signatures of `release`, made with SHA-512."""
        async with self._turn:
            with _gnupg(self._home) as gpg:
                (gpg.scratch / "Release").write_bytes(release)
                try:
                    return Signatures(
                        inline=await gpg.sign(self._fingerprint, "--clearsign"),
                        detached=await gpg.sign(self._fingerprint, "--detach-sign"),
                    )
                finally:
                    await gpg.end_agent()


@dataclass(frozen=True, slots=True)
class _Gpg:
    """gpg with one home, reached by a short path: its sockets are in there, and theirs is limited to 107 bytes."""

    home: Path
    scratch: Path

    async def run(self, *arguments: str) -> bytes:
        result = await run(
            [
                "gpg",
                "--batch",
                "--quiet",
                "--no-tty",
                "--no-options",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
                *arguments,
            ],
            env=self._environment(),
            timeout_s=_TIMEOUT_S,
        )
        return result.output

    async def fingerprint(self) -> str | None:
        found = _FINGERPRINT.search(await self.run("--with-colons", "--list-secret-keys"))
        return found[1].decode() if found else None

    async def public_key(self, fingerprint: str) -> str:
        output = self.scratch / "key.asc"
        await self.run("--output", str(output), "--armor", "--export", fingerprint)
        return output.read_text("ascii")

    async def sign(self, fingerprint: str, how: str) -> bytes:
        output = self.scratch / f"Release{how}"
        await self.run(
            "--local-user",
            f"{fingerprint}!",
            "--digest-algo",
            "SHA512",
            "--armor",
            "--output",
            str(output),
            how,
            str(self.scratch / "Release"),
        )
        return output.read_bytes()

    async def end_agent(self) -> None:
        await run(["gpgconf", "--kill", "gpg-agent"], env=self._environment(), timeout_s=_TIMEOUT_S)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "GNUPGHOME": str(self.home)}


def _lock_file(home: Path) -> IO[str]:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    return (home / ".lock").open("w")


@contextmanager
def _gnupg(home: Path) -> Iterator[_Gpg]:
    with tempfile.TemporaryDirectory(prefix="deborch-gpg-", dir="/tmp") as scratch:
        link = Path(scratch) / "home"
        link.symlink_to(home.resolve())
        yield _Gpg(link, Path(scratch))


def _no_key(home: Path) -> DeborchError:
    return DeborchError(
        ErrorCode.INTERNAL,
        f"gpg made no key in {home}",
        hint="see that the directory is writable and belongs to the user that runs the hub",
    )
