"""A base from nothing: mmdebstrap, which ends with this process, and what its failures mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from deb_mock.archives.apt_output import archive_failure, ending
from deb_mock.bases.recipe import BaseRecipe
from deb_mock.failures import FailureClass, failure
from deb_mock.model import LogSink
from deborch_shared import process
from deborch_shared.apt.host import HostApt
from deborch_shared.apt.redaction import redacted
from deborch_shared.errors import DeborchError, ErrorCode

_MAKING_TAKES_AT_MOST_S = 1800.0
_ENDED_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_IN_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""util-linux: if this process is killed, mmdebstrap and its mounts go with it."""
_GRACE_S = 0.2
"""What mmdebstrap would clean up is removed by us anyway."""
_NAME_AND_VERSION = 2
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


async def run_mmdebstrap(
    command: Sequence[str],
    recipe: BaseRecipe,
    proxies: Mapping[str, str],
    on_log: LogSink,
    *,
    root: Path | None = None,
) -> None:
    """Run `command` in mount and pid namespaces of its own, in the file tree `root` if one is given.

    Raises:
        DeborchError: FETCH_FAILED if the archive cannot be reached, CHROOT_FAILED with the end of the output.
    """
    within = (*_IN_NAMESPACES, f"--root={root}", "--wd=/") if root else _IN_NAMESPACES
    try:
        await process.run(
            [*_ENDED_WITH_US, *within, *command],
            env={**_ENVIRONMENT, **proxies},
            on_output=on_log,
            timeout_s=_MAKING_TAKES_AT_MOST_S,
            grace_s=_GRACE_S,
        )
    except DeborchError as error:
        raise _explained(error, recipe) from error


def announce(recipe: BaseRecipe, host: HostApt, proxies: Mapping[str, str], on_log: LogSink) -> None:
    """Say where a base will come from and through what, and what of the host's apt goes into it."""
    on_log(f"deb-mock: making the base of {recipe.suite} {recipe.architecture} by mmdebstrap\n".encode())
    for source in recipe.sources:
        on_log(f"deb-mock: from {redacted(source.uri)} {source.suite}\n".encode())
    for name, value in host.settings.items():
        on_log(f"deb-mock: the host's apt setting {name} {value} is carried over\n".encode())
    for name, value in proxies.items():
        on_log(f"deb-mock: steps with network have {name} {redacted(value)}\n".encode())


def _explained(error: DeborchError, recipe: BaseRecipe) -> DeborchError:
    output = str(error.fields.get("output", ""))
    if error.fields.get("reason") == "start":
        return error
    refused = archive_failure(output, doing=f"making the base of {recipe.suite}")
    if refused is not None:
        return refused
    return failure(
        FailureClass.CHROOT,
        ErrorCode.CHROOT_FAILED,
        f"mmdebstrap could not make the base of {recipe.suite}: {ending(output)}",
        hint="the end of its output says why",
    )


async def tool_versions() -> dict[str, str]:
    """Of mmdebstrap, apt and dpkg, as dpkg knows them: asking mmdebstrap itself takes ten times as long."""
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "mmdebstrap", "apt", "dpkg"]
    asked = await process.run(command, timeout_s=30, check=False)
    words = [line.split() for line in asked.output.decode("utf-8", "replace").splitlines()]
    versions = {pair[0]: pair[1] for pair in words if len(pair) == _NAME_AND_VERSION}
    if "mmdebstrap" in versions:
        return versions
    raise failure(
        FailureClass.CHROOT,
        ErrorCode.CHROOT_FAILED,
        "mmdebstrap is not installed on this machine",
        hint="apt-get install mmdebstrap",
    )
