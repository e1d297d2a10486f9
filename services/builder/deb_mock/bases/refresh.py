"""A later generation of a base: the same files by hard links, with the package lists of today.

Good as long as nothing that is installed in the base has a newer version; otherwise the base is made from nothing.
apt reads and verifies the lists in a sandbox on the old base, which stays as it is whatever happens.
"""

import asyncio
import os
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

from deb_mock.archives import apt_output
from deb_mock.archives.repositories import WORKSPACE
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failures_are
from deb_mock.model import Base, LogSink
from deborch_shared import process
from deborch_shared.sandbox.box import Sandbox, open_sandbox

_CHANGES = re.compile(r"^(?:Inst|Remv) (?P<name>\S+)", re.MULTILINE)
_APT_STATE = ("var/lib/apt/lists", "var/cache/apt")
_ARCHIVE = "lists.tar"
_ONE_COMMAND_TAKES_AT_MOST_S = 600.0
_SHOWN_CHANGES = 5


class BaseRefresher:
    """Makes later generations."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots) -> None:
        self._environment = {**apt_output.APT_ENVIRONMENT, **config.proxies}
        self._buildroots = buildroots

    async def refresh(self, base: Base, target: Path, on_log: LogSink) -> bool:
        """Make `target`, a tree like that of `base` with new lists; False if the base has to be made from nothing.

        Raises:
            DeborchError: FETCH_FAILED if the archive cannot be read or verified.
        """
        await self._buildroots.probe(base, on_log)
        with failures_are(FailureClass.CHROOT):
            on_disk = replace(self._buildroots.spec("refresh", base), scratch_bytes=None)
            async with open_sandbox(on_disk) as sandbox:
                await self._run(sandbox, ["apt-get", "-q", *apt_output.STRICT_UPDATE, "update"], network=True)
                changes = _CHANGES.findall(await self._run(sandbox, ["apt-get", "-s", "-q", "-y", "dist-upgrade"]))
                if changes:
                    shown = ", ".join(changes[:_SHOWN_CHANGES])
                    on_log(f"deb-mock: {len(changes)} packages of the base have changed ({shown})\n".encode())
                    return False
                await self._run(sandbox, ["apt-cache", "gencaches"])
                archive = f"{WORKSPACE}/{_ARCHIVE}"
                await self._run(sandbox, ["tar", "-C", "/", "--numeric-owner", "-cf", archive, *_APT_STATE])
                await process.run(["cp", "-al", "--", str(base.root), str(target)], timeout_s=300)
                await asyncio.to_thread(_replace_apt_state, target, sandbox.workspace_fd)
        return True

    async def _run(self, sandbox: Sandbox, argv: list[str], *, network: bool = False) -> str:
        result = await sandbox.run(
            argv, env=self._environment, network=network, check=False, timeout_s=_ONE_COMMAND_TAKES_AT_MOST_S
        )
        output = result.output.decode("utf-8", "replace")
        if result.returncode != 0:
            raise apt_output.explain(output, doing="reading package lists", otherwise=FailureClass.CHROOT)
        return output


def _replace_apt_state(root: Path, workspace_fd: int) -> None:
    """Directories are ours alone, files are shared: so files are removed and written anew, never changed."""
    for name in _APT_STATE:
        shutil.rmtree(root / name)
    descriptor = os.open(_ARCHIVE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=workspace_fd)
    with os.fdopen(descriptor, "rb") as content, tarfile.open(fileobj=content, mode="r:") as archive:
        archive.extractall(root, numeric_owner=True, filter="tar")
