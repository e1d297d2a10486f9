"""sbuild's unshare backend, set up as well as we know how, run as a user that exists only in our mount namespace.

All that it could save, it saves: the chroot is a plain tar with fakeroot and package lists in it, unpacked to a
tmpfs; the .debs it installs are bound in and there already; no update, no purge, no lintian, piuparts or autopkgtest.
"""

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from deborch_shared import process
from deborch_shared.process import ProcessResult

_USER = "sbuild-bench"
_UID = 59_001
_FIRST_SUBID = 1_910_000_000
_SUBIDS = 65_536
"""Above what systemd and subuid(5) give out, and not where the engine has its own."""
_MADE_BY_SBUILD = "sbuild-build-depends-"

_CONFIG = """\
$chroot_mode = 'unshare';
$unshare_tmpdir_template = '{scratch}/tmp.sbuild.XXXXXXXXXX';
$unshare_bind_mounts = [{{ directory => '{archives}', mountpoint => '/var/cache/apt/archives' }}];
$apt_update = 0;
$apt_upgrade = 0;
$apt_distupgrade = 0;
$apt_keep_downloaded_packages = 1;
$purge_build_deps = 'never';
$purge_build_directory = 'never';
$purge_session = 'never';
$run_lintian = 0;
$run_piuparts = 0;
$run_autopkgtest = 0;
$build_arch_all = 1;
$nolog = 1;
1;
"""


class Sbuild:
    """Tuned sbuild in `directory`, which must be on a tmpfs and open to every user."""

    def __init__(self, directory: Path, chroot: Path, suite: str, jobs: int) -> None:
        self._home = directory / "home"
        self._scratch = directory / "scratch"
        self._archives = directory / "archives"
        self._chroot = chroot
        self._suite = suite
        self._jobs = jobs

    async def prepare(self, debs: Iterable[Path]) -> None:
        """The user, its configuration, and `debs` where apt in the chroot looks for them.

        Changes /etc/passwd and the like for the mount namespace that this process is in: have one of your own.
        """
        await _add_user(self._home)
        for directory in (self._home, self._scratch):
            directory.mkdir(parents=True)
            os.chown(directory, _UID, _UID)
        (self._archives / "partial").mkdir(parents=True)
        await self.offer(debs)
        config = _CONFIG.format(scratch=self._scratch, archives=self._archives)
        (self._home / "sbuild.conf").write_text(config)

    async def offer(self, debs: Iterable[Path]) -> None:
        """Have `debs` at hand as well."""
        for deb in debs:
            shutil.copy(deb, self._archives)
        for path in (self._archives, *self._archives.rglob("*")):
            os.chown(path, _FIRST_SUBID, _FIRST_SUBID)

    async def build(self, dsc: Path) -> ProcessResult:
        """One build of `dsc`, which the user must be able to read. What it leaves is removed when it has ended.

        Raises:
            DeborchError: PROCESS_FAILED with the end of its output.
        """
        results = self._home / "results"
        results.mkdir()
        os.chown(results, _UID, _UID)
        command = ["sbuild", f"--dist={self._suite}", f"--chroot={self._chroot}", f"--jobs={self._jobs}", str(dsc)]
        as_user = ["setpriv", f"--reuid={_UID}", f"--regid={_UID}", "--clear-groups", "--"]
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
            "HOME": str(self._home),
            "USER": _USER,
            "LOGNAME": _USER,
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._scratch),
            "SBUILD_CONFIG": str(self._home / "sbuild.conf"),
        }
        try:
            return await process.run([*as_user, *command], cwd=results, env=environment, timeout_s=900)
        finally:
            for left in (results, *self._scratch.iterdir()):
                await asyncio.to_thread(shutil.rmtree, left)

    def archives(self) -> set[str]:
        """The .debs that it has, but for the one that it makes itself."""
        return {path.name for path in self._archives.glob("*.deb") if not path.name.startswith(_MADE_BY_SBUILD)}


async def _add_user(home: Path) -> None:
    lines = {
        "passwd": f"{_USER}:x:{_UID}:{_UID}::{home}:/bin/sh",
        "group": f"{_USER}:x:{_UID}:",
        "subuid": f"{_USER}:{_FIRST_SUBID}:{_SUBIDS}",
        "subgid": f"{_USER}:{_FIRST_SUBID}:{_SUBIDS}",
    }
    accounts = home.with_name("accounts")
    accounts.mkdir(parents=True)
    for name, line in lines.items():
        real, ours = Path("/etc", name), accounts / name
        real.touch(mode=0o644)
        ours.write_text(f"{real.read_text().rstrip()}\n{line}\n".lstrip())
        await process.run(["mount", "--bind", str(ours), str(real)], timeout_s=30)
