"""Sign the .dsc, .buildinfo and .changes as debsign(1) does, inside out, each with the hash of the one before."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from deb_mock.failures import FailureClass, failure
from deb_mock.model import Artifact, CheckResult, CheckStatus
from deb_mock.plugins.api import BuildContext, Plugin, PluginOptions, Results, hookimpl
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode

_ORDER = (".dsc", ".buildinfo", ".changes")
_HASHES = {32: hashlib.md5, 40: hashlib.sha1, 64: hashlib.sha256}
"""By the length of what a line has: Files, Checksums-Sha1 and Checksums-Sha256."""
_TIMEOUT_S = 60.0


class SignOptions(PluginOptions):
    """Options of sign."""

    gnupg_home: Path = Field(description="The GNUPGHOME with the secret key.")
    key: str = Field(min_length=8, description="Fingerprint, or address, of the key.")
    passphrase_file: Path | None = Field(None, description="A file with the passphrase, if the key has one.")
    refuse_failed_checks: bool = Field(True, description="Sign nothing if a check failed, advisory ones too.")


class Sign(Plugin):
    """Runs on the host, after the checks: the key never comes near the buildroot."""

    name: ClassVar[str] = "sign"
    summary: ClassVar[str] = "Signs .dsc, .buildinfo and .changes with a key of a GNUPGHOME."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = SignOptions
    options: SignOptions

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._agent_was_there = True

    @hookimpl
    async def before_base(self) -> None:
        """Fail before the build, not after, if the key is not there."""
        self._agent_was_there = await self._agent_answers()
        asked = await self._gpg(["--list-secret-keys", self.options.key], check=False)
        if asked.returncode != 0:
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_SETTING,
                f"there is no secret key {self.options.key} in {self.options.gnupg_home}",
                hint=f"gpg --homedir {self.options.gnupg_home} --list-secret-keys shows what is there",
            )

    @hookimpl
    async def checks_finished(self, build: BuildContext, results: Results, checks: Sequence[CheckResult]) -> None:
        """Sign, unless there is something to object."""
        bad = [check.name for check in checks if check.status is CheckStatus.FAIL]
        if bad and (self.options.refuse_failed_checks or any(check.gating for check in checks if check.name in bad)):
            build.say(f"nothing is signed: {', '.join(bad)} failed")
            return
        for suffix in _ORDER:
            for artifact in [each for each in results.artifacts if each.name.endswith(suffix)]:
                await self._sign(build, results, artifact)

    @hookimpl
    async def build_ended(self) -> None:
        """End the agent that gpg started for us."""
        if not self._agent_was_there:
            await self._run(["gpgconf", "--homedir", str(self.options.gnupg_home), "--kill", "gpg-agent"])

    async def _sign(self, build: BuildContext, results: Results, artifact: Artifact) -> None:
        signed = build.scratch_directory() / artifact.name
        arguments = ["--local-user", self.options.key, "--clearsign", "--output", str(signed)]
        try:
            await self._gpg([*arguments, str(results.path(artifact))])
        except DeborchError as error:
            raise failure(
                FailureClass.CHROOT,
                ErrorCode.PROCESS_FAILED,
                f"gpg could not sign {artifact.name}: {error.message}",
                hint="has the key expired, or does it need a passphrase_file?",
            ) from error
        content = await asyncio.to_thread(signed.read_bytes)
        results.replace(artifact, artifact.name, content)
        for other in [each for each in results.artifacts if each.name.endswith(_ORDER[1:]) and each != artifact]:
            text = await asyncio.to_thread(results.path(other).read_text)
            updated = with_hashes(text, artifact.name, content)
            if updated != text:
                results.replace(other, other.name, updated.encode())
        build.say(f"signed {artifact.name}")

    async def _gpg(self, arguments: list[str], *, check: bool = True) -> process.ProcessResult:
        options = ["--homedir", str(self.options.gnupg_home), "--batch", "--no-tty", "--yes"]
        if self.options.passphrase_file is not None:
            options += ["--pinentry-mode", "loopback", "--passphrase-file", str(self.options.passphrase_file)]
        return await self._run(["gpg", *options, *arguments], check=check)

    async def _agent_answers(self) -> bool:
        command = ["gpg-connect-agent", "--homedir", str(self.options.gnupg_home), "--no-autostart", "/bye"]
        return b"no gpg-agent running" not in (await self._run(command)).output

    @staticmethod
    async def _run(argv: list[str], *, check: bool = False) -> process.ProcessResult:
        return await process.run(argv, timeout_s=_TIMEOUT_S, check=check)


def with_hashes(text: str, name: str, content: bytes) -> str:
    """`text`, a .buildinfo or .changes, with size and hashes of the file `name` as they are now (deb-changes(5))."""
    lines = []
    for line in text.splitlines(keepends=True):
        words = line.split()
        if line.startswith(" ") and len(words) >= 3 and words[-1] == name and len(words[0]) in _HASHES:
            digest = _HASHES[len(words[0])](content, usedforsecurity=False).hexdigest()
            line = f" {' '.join([digest, str(len(content)), *words[2:]])}\n"  # noqa: PLW2901
        lines.append(line)
    return "".join(lines)
