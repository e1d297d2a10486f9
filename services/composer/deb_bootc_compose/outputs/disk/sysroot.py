"""An OSTree sysroot with one deployment, as `ostree admin` makes it, in a directory."""

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.commits.repository import checked_commit, checked_ref
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.tools.port import Bound, Tools
from deborch_shared.errors import ErrorCode
from deborch_shared.process import OutputSink

STATEROOT = "debian"
REMOTE = "debian"
"""Of the origin: what the booted system is upgraded from, once its owner says where that is (`ostree remote add`)."""
_SYSLINUX = "DEFAULT\nTIMEOUT 10\nPROMPT 0\n"
_PASSWORD_OF_ROOT = re.compile(r"^root:[^:]*:", re.MULTILINE)
_TAKES_AT_MOST_S = 1800.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is to be deployed."""

    commit: str
    ref: str
    kargs: tuple[str, ...]
    epoch: int
    root_password_empty: bool = False


async def make_sysroot(
    tools: Tools, repository: Path, directory: Path, deployment: Deployment, *, on_output: OutputSink | None = None
) -> None:
    """Fill the new `directory`, with hard links into `repository` where that can be: not to be written to.

    Raises:
        DeborchError: PROCESS_FAILED with what ostree said; CONFLICT if the commit has no kernel.
    """
    commit = checked_commit(deployment.commit)
    await asyncio.to_thread(directory.mkdir, parents=True)
    bound = _seen(repository, directory)

    async def ostree(*arguments: str) -> None:
        await tools.run(
            ["ostree", *arguments],
            bound=bound,
            env={"SOURCE_DATE_EPOCH": str(deployment.epoch)},
            on_output=on_output,
            timeout_s=_TAKES_AT_MOST_S,
        )

    own = f"--repo={directory}/ostree/repo"
    await ostree("admin", "init-fs", "--modern", str(directory))
    await ostree("config", own, "set", "sysroot.readonly", "true")
    await ostree("config", own, "set", "core.fsync", "false")
    await asyncio.to_thread(_seed_bootloader, directory, deployment)
    await ostree("admin", "os-init", f"--sysroot={directory}", STATEROOT)
    await ostree("pull-local", own, "--disable-fsync", str(repository), commit)
    await ostree(
        *("admin", "deploy", f"--sysroot={directory}", f"--os={STATEROOT}"),
        f"--origin-file={directory}/origin",
        *(f"--karg-append={argument}" for argument in deployment.kargs),
        commit,
    )
    await ostree("config", own, "unset", "core.fsync")
    await asyncio.to_thread(_finish, directory, deployment)


def _seen(repository: Path, directory: Path) -> tuple[Bound, ...]:
    """Hard links need one mount that holds both; without such a one ostree copies."""
    both = Path(os.path.commonpath([repository, directory]))
    if both == Path("/"):
        return (Bound(repository), Bound(directory, writable=True))
    return (Bound(both, writable=True),)


def deployment_in(sysroot: Path, commit: str) -> Path:
    """The directory of the tree."""
    return sysroot / "ostree" / "deploy" / STATEROOT / "deploy" / f"{commit}.0"


def _seed_bootloader(sysroot: Path, deployment: Deployment) -> None:
    """libostree keeps syslinux.cfg up to date where it finds one, beside the BLS entries that it always writes."""
    boot = sysroot / "boot"
    (boot / "syslinux").mkdir(parents=True)
    (boot / "loader.0").mkdir()
    (boot / "loader").symlink_to("loader.0")
    (boot / "loader.0" / "syslinux.cfg").write_text(_SYSLINUX)
    (boot / "syslinux" / "syslinux.cfg").symlink_to("../loader/syslinux.cfg")
    (sysroot / "origin").write_text(f"[origin]\nrefspec={REMOTE}:{checked_ref(deployment.ref)}\n")


def _finish(sysroot: Path, deployment: Deployment) -> None:
    (sysroot / "origin").unlink()
    tree = deployment_in(sysroot, deployment.commit)
    if not any((sysroot / "boot" / "ostree").glob("*/vmlinuz*")):
        raise failure(
            FailureClass.OUTPUT,
            ErrorCode.CONFLICT,
            "the tree has no kernel, so no disk can boot it",
            hint="set `kernel:` in the treefile, or leave disks out of `outputs:`",
        )
    if deployment.root_password_empty:
        shadow = tree / "etc" / "shadow"
        changed = _PASSWORD_OF_ROOT.sub("root::", shadow.read_text(), count=1)
        mode = shadow.stat()
        shadow.unlink()
        shadow.write_text(changed)
        shadow.chmod(mode.st_mode & 0o7777)
        os.chown(shadow, mode.st_uid, mode.st_gid)
    shutil.rmtree(sysroot / "ostree" / "repo" / "tmp", ignore_errors=True)
    (sysroot / "ostree" / "repo" / "tmp" / "cache").mkdir(parents=True)
