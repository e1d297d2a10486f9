"""Where RabbitMQ's programs are: installed by apt, or Debian's own packages unpacked into a directory of ours.

Unpacked is what the scripts use: installing rabbitmq-server would start a system service that nobody asked for,
and needs root. apt chooses and verifies the packages, so that no version is written down here; whatever the host
has installed already is not fetched.

`python -m deborch_cli.local.rabbitmq_files DIRECTORY` does it ahead of time.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deborch_cli.local.files import MEBIBYTE, private_directory, require_space
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import run

PACKAGE = "rabbitmq-server"
NEEDED_BYTES = 150 * MEBIBYTE
_FETCH_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class RabbitMQFiles:
    """The programs, below `root` ("/" if installed)."""

    root: Path
    server: Path
    """RabbitMQ's own start script; the one in /usr/sbin insists on root and its own account."""
    erts: Path
    """Erlang's run time: beam, epmd, erl_call."""

    @property
    def libraries(self) -> list[Path]:
        """Folders of shared libraries that were unpacked along."""
        return sorted({path.parent for path in self.root.glob("**/lib/*-linux-*/lib*.so.*")}) if self.unpacked else []

    @property
    def unpacked(self) -> bool:
        return self.root != Path("/")


def locate(root: Path) -> RabbitMQFiles | None:
    """The programs below `root`, or None if they are not all there."""
    servers = sorted(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
    runtimes = sorted(root.glob("usr/lib/erlang/erts-*"))
    if not servers or not runtimes:
        return None
    return RabbitMQFiles(root, servers[-1], runtimes[-1])


def find(directory: Path) -> RabbitMQFiles | None:
    """The installed RabbitMQ, else the one unpacked in `directory`, if there is either."""
    return locate(Path("/")) or locate(directory)


async def find_or_unpack(directory: Path) -> RabbitMQFiles:
    """What `find` finds, else unpack it in `directory`: about 35 MB to fetch.

    Raises:
        DeborchError: FETCH_FAILED or DISK_FULL.
    """
    return find(directory) or await unpack(directory)


async def unpack(directory: Path) -> RabbitMQFiles:
    """Fetch and unpack RabbitMQ with all that it needs and the host lacks. Appears whole or not at all."""
    parent = private_directory(directory.parent)
    require_space(parent, NEEDED_BYTES, "unpacking RabbitMQ")
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{directory.name}-") as name:
        packages = private_directory(Path(name, "packages"))
        tree = private_directory(Path(name, "tree"))
        await _fetch(packages)
        for package in _packages_in(packages):
            await run(["dpkg-deb", "--extract", str(package), str(tree)], timeout_s=_FETCH_TIMEOUT_S)
        if locate(tree) is None:
            raise _not_to_be_had("its packages hold no server where one is expected")
        _put(tree, directory)
    files = locate(directory)
    if files is None:
        raise _not_to_be_had(f"{directory} was changed while it was unpacked")
    return files


async def _fetch(packages: Path) -> None:
    """Fetch into `packages`. apt's lists may be old or not there at all: then, as root, update them and try again."""
    try:
        await _fetch_by_lists(packages)
    except DeborchError as error:
        if os.geteuid() != 0 or error.code is not ErrorCode.FETCH_FAILED:
            raise
        await run(["apt-get", "update"], timeout_s=_FETCH_TIMEOUT_S, check=False)
        await _fetch_by_lists(packages)


async def _fetch_by_lists(packages: Path) -> None:
    try:
        plan = await run(
            ["apt-get", "install", "--simulate", "--no-install-recommends", PACKAGE], timeout_s=_FETCH_TIMEOUT_S
        )
        names = [line.split()[1] for line in plan.output.decode().splitlines() if line.startswith("Inst ")]
        if PACKAGE not in names:
            raise _not_to_be_had("apt does not offer it")
        await run(["apt-get", "download", *_as_current_user(), *names], cwd=packages, timeout_s=_FETCH_TIMEOUT_S)
    except DeborchError as error:
        if error.code not in (ErrorCode.PROCESS_FAILED, ErrorCode.PROCESS_TIMEOUT):
            raise
        raise _not_to_be_had(error.message) from error


def _packages_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.deb"))


def _put(tree: Path, directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    tree.rename(directory)


def _as_current_user() -> list[str]:
    """apt as root would drop to an account that cannot write into our private directory, and warn."""
    return ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []


def _not_to_be_had(why: str) -> DeborchError:
    return DeborchError(
        ErrorCode.FETCH_FAILED,
        f"Debian's {PACKAGE} could not be fetched: {why}",
        hint="run 'apt-get update' as root and check the mirrors in /etc/apt, or set DEBORCH_AMQP_URL to use your own",
    )


def main() -> None:
    """Have RabbitMQ ready in the directory that is named on the command line."""
    try:
        asyncio.run(find_or_unpack(Path(sys.argv[1])))
    except DeborchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
