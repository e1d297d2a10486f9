"""Signing commits and summaries with an OpenPGP key of whoever runs the compose."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.tools.port import Bound, Tools
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import ProcessResult

_TAKES_AT_MOST_S = 60.0


class SigningKey:
    """One secret key, in a keyring of its own for as long as it is needed."""

    def __init__(self, fingerprint: str, keyring: Path) -> None:
        self._fingerprint = fingerprint
        self._keyring = keyring

    async def sign_commit(self, repository: OstreeRepository, commit: str) -> None:
        """Sign, unless it is signed by this key already.

        Raises:
            DeborchError: INVALID_SIGNATURE of class SIGNATURE.
        """
        signed = await self._ostree(repository, "gpg-sign", commit, self._fingerprint)
        already = b"already signed" in signed.output.lower()
        if signed.returncode != 0 and not already:
            raise _not_signed(f"the commit {commit[:12]}", signed)

    async def update_summary(self, repository: OstreeRepository) -> None:
        """Write the summary, signed.

        Raises:
            DeborchError: INVALID_SIGNATURE of class SIGNATURE.
        """
        signed = await self._ostree(repository, "summary", "--update", f"--gpg-sign={self._fingerprint}")
        if signed.returncode != 0:
            raise _not_signed("the summary", signed)

    async def _ostree(self, repository: OstreeRepository, *arguments: str) -> ProcessResult:
        command, *rest = arguments
        return await repository.ostree(
            command,
            f"--gpg-homedir={self._keyring}",
            *rest,
            writes=True,
            bound=(Bound(self._keyring, writable=True),),
            check=False,
        )


@asynccontextmanager
async def signing_key(fingerprint: str | None, tools: Tools) -> AsyncIterator[SigningKey | None]:
    """The secret key `fingerprint` of the user's keyring (GNUPGHOME); None for None.

    It is imported by gpg of the tools root, which will use it: versions keep secret keys in ways of their own.

    Raises:
        DeborchError: NOT_FOUND of class SIGNATURE if there is no such secret key, or it needs a passphrase.
    """
    if fingerprint is None:
        yield None
        return
    keyring = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="deborch-keys."))
    """In the directory for temporary files: sockets of gpg-agent cannot have long paths."""
    try:
        exported = await _gpg("--pinentry-mode", "error", "--armor", "--export-secret-keys", fingerprint)
        if exported.returncode != 0 or b"PRIVATE KEY BLOCK" not in exported.output:
            raise failure(
                FailureClass.SIGNATURE,
                ErrorCode.NOT_FOUND,
                f"there is no secret key {fingerprint} that can be used without a passphrase",
                hint="see gpg --list-secret-keys; set GNUPGHOME to the keyring that has it, or do not sign",
            )
        await tools.run(
            ["gpg", "--batch", "--quiet", "--homedir", str(keyring), "--import"],
            stdin=exported.output,
            bound=(Bound(keyring, writable=True),),
            timeout_s=_TAKES_AT_MOST_S,
        )
        yield SigningKey(fingerprint, keyring)
    finally:
        await asyncio.to_thread(shutil.rmtree, keyring, ignore_errors=True)


async def _gpg(*arguments: str) -> ProcessResult:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    environment |= {name: os.environ[name] for name in ("GNUPGHOME", "HOME") if name in os.environ}
    command = ["gpg", "--batch", "--no-tty", "--quiet", *arguments]
    return await process.run(command, env=environment, timeout_s=_TAKES_AT_MOST_S, check=False)


def _not_signed(what: str, result: ProcessResult) -> DeborchError:
    return failure(
        FailureClass.SIGNATURE,
        ErrorCode.INVALID_SIGNATURE,
        f"{what} could not be signed: {bounded(result.output.decode('utf-8', 'replace').strip(), 500)}",
        hint="try the key by hand: gpg --clearsign --local-user FINGERPRINT",
    )
