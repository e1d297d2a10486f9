"""dpkg-buildpackage and nothing around it, in a chroot that has the build dependencies: what no builder can beat."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deb_mock.archives.apt_output import APT_ENVIRONMENT
from deb_mock.model import BUILD_UID
from deborch_shared import process
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.spec import CLEAN_ENVIRONMENT


class BareChroot:
    """A plain chroot in `root`, from the tar `chroot`."""

    def __init__(self, root: Path, chroot: Path, jobs: int) -> None:
        self._root = root
        self._chroot = chroot
        self._jobs = jobs

    async def prepare(self, dsc: Path, proxies: Mapping[str, str]) -> list[Path]:
        """Unpack it and install the build dependencies of `dsc`; the .debs that apt fetched for that."""
        self._root.mkdir(parents=True)
        await process.run(["tar", "-C", str(self._root), "-xpf", str(self._chroot)], timeout_s=300)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(Path("/etc", name), self._root / "etc" / name)
        workspace = self._root / "build"
        workspace.mkdir()
        os.chown(workspace, BUILD_UID, BUILD_UID)
        for path in dsc.parent.iterdir():
            shutil.copy(path, workspace)
        command = ["apt-get", "-q", "-y", "build-dep", f"./{dsc.name}"]
        await self._run(command, 0, "/build", {**APT_ENVIRONMENT, **proxies})
        return sorted((self._root / "var/cache/apt/archives").glob("*.deb"))

    async def build(self, dsc: Path) -> ProcessResult:
        """One build in a freshly unpacked source; only dpkg-buildpackage itself is in the result."""
        source = self._root / "build/source"
        unpack = ["dpkg-source", "--no-check", "-x", dsc.name, "source"]
        await self._run(unpack, BUILD_UID, "/build", {})
        command = ["dpkg-buildpackage", "-us", "-uc", "-b", f"-j{self._jobs}"]
        try:
            return await self._run(command, BUILD_UID, "/build/source", {"DEB_BUILD_OPTIONS": f"parallel={self._jobs}"})
        finally:
            shutil.rmtree(source)

    async def _run(self, argv: list[str], uid: int, cwd: str, environment: Mapping[str, str]) -> ProcessResult:
        within = [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={self._root}", "--mount-proc",
            f"--setuid={uid}", f"--setgid={uid}", f"--wd={cwd}", "--",
        ]  # fmt: skip
        return await process.run([*within, *argv], env={**CLEAN_ENVIRONMENT, **environment}, timeout_s=900)
