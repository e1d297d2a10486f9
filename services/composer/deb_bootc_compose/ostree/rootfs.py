"""A root filesystem of exactly the gathered packages, by mmdebstrap, with no network."""

import asyncio
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.gather.lock import Lock
from deb_bootc_compose.ostree.apart import run_apart
from deb_bootc_compose.ostree.tree import Tree
from deb_bootc_compose.ostree.unsynced import unsynced
from deb_bootc_compose.treefile.packages import Selection
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import OutputSink

_TAKES_AT_MOST_S = 3600.0
_SKIPPED = "check/empty,check/signed-by,download/empty,essential/unlink,cleanup/apt/cache,output/dev"
_APT_SETTINGS = {
    "Acquire::Languages": "none",
    "APT::Install-Recommends": "false",
    "APT::Sandbox::User": "root",
    "Dpkg::Use-Pty": "false",
}
_HOOKS = "/usr/share/mmdebstrap/hooks/file-mirror-automount"
"""Shows the repository, which is a directory, inside."""
_REPOSITORY = "/run/gathered"
"""Where mmdebstrap and the tree see it: a directory of that name is made in the tree, whose /run is emptied."""
_PRESEEDS = "/run/preseeds"
_FILES_OF_MMDEBSTRAP = (
    "/etc/apt/apt.conf.d/99mmdebstrap",
    "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/0000main.list",
)
_LAST_CHARACTERS = 1500
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def mmdebstrap_command(
    root: Path, repository: Path, lock: Lock, treefile: ResolvedTreefile, preseeds: Path | None
) -> list[str]:
    """What makes `root` of the packages of `lock`, which all lie in `repository`."""
    has_apt = any(package.name == "apt" for package in lock.packages)
    architectures = (lock.architecture, *lock.foreign_architectures)
    options = [f"--dpkgopt={option}" for option in ("force-unsafe-io", *treefile.dpkg_options)]
    hooks = []
    if preseeds is not None:
        hooks.append(f"--essential-hook=upload {shlex.quote(str(preseeds))} {_PRESEEDS}")
        hooks.append(f'--essential-hook=chroot "$1" debconf-set-selections {_PRESEEDS}')
    return [
        "mmdebstrap",
        f"--variant={'apt' if has_apt else 'essential'}",
        "--mode=root",
        f"--skip={_SKIPPED}",
        f"--architectures={','.join(architectures)}",
        *(f'--aptopt={name} "{value}"' for name, value in _APT_SETTINGS.items()),
        *options,
        *hooks,
        f"--hook-dir={_HOOKS}",
        f"--include={','.join(package.apt_name for package in lock.packages)}",
        "",
        str(root),
        f"deb [signed-by={repository / 'key.asc'}] file://{repository} ./",
    ]


async def make_rootfs(
    root: Path,
    repository: Path,
    lock: Lock,
    treefile: ResolvedTreefile,
    *,
    scratch: Path,
    epoch: int,
    on_output: OutputSink,
) -> Tree:
    """Install the packages into the new directory `root`.

    Raises:
        DeborchError: PROCESS_FAILED or PROCESS_TIMEOUT of class TREE with the end of the output.
    """
    if shutil.which("mmdebstrap", path=_ENVIRONMENT["PATH"]) is None:
        raise failure(
            FailureClass.HOST,
            ErrorCode.INVALID_SETTING,
            "there is no mmdebstrap on this machine",
            hint="apt-get install mmdebstrap",
        )
    preseeds = await asyncio.to_thread(_write_preseeds, scratch / "preseeds", treefile.debconf)
    command = mmdebstrap_command(root, Path(_REPOSITORY), lock, treefile, preseeds)
    try:
        await run_apart(
            unsynced(command),
            scratch,
            readable={_REPOSITORY: repository},
            env={**_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(epoch), "INITRD": "No", "TMPDIR": str(scratch)},
            on_output=on_output,
            timeout_s=_TAKES_AT_MOST_S,
        )
    except DeborchError as error:
        raise _explained(error) from error
    tree = Tree(root)
    await asyncio.to_thread(_forget_mmdebstrap, tree, treefile)
    return tree


def _write_preseeds(place: Path, selections: Sequence[Selection]) -> Path | None:
    if not selections:
        return None
    lines = [f"{one.package} {one.question} {one.type} {one.value}\n" for one in selections]
    place.touch(mode=0o600)  # passwords may be among them
    place.write_text("".join(lines))
    return place


def _forget_mmdebstrap(tree: Tree, treefile: ResolvedTreefile) -> None:
    """Its settings, and the sources that were on this machine."""
    for path in _FILES_OF_MMDEBSTRAP:
        tree.remove(path)
    if treefile.dpkg_options:
        tree.write("/etc/dpkg/dpkg.cfg.d/treefile", "".join(f"{option}\n" for option in treefile.dpkg_options))


def _explained(error: DeborchError) -> DeborchError:
    if error.fields.get("reason") == "start" or error.code not in {
        ErrorCode.PROCESS_FAILED,
        ErrorCode.PROCESS_TIMEOUT,
    }:
        return error
    output = str(error.fields.get("output", ""))
    telling = [line for line in output.splitlines() if line.startswith(("E:", "dpkg: error", "Errors were"))]
    end = "\n".join(output.splitlines()[-12:])
    return failure(
        FailureClass.TREE,
        error.code if error.code is ErrorCode.PROCESS_TIMEOUT else ErrorCode.PROCESS_FAILED,
        f"the packages could not be installed: {bounded(chr(10).join((*telling, end)), _LAST_CHARACTERS)}",
        hint="the log of the phase has all of it; a maintainer script that fails names its package there",
        output=output,
    )
