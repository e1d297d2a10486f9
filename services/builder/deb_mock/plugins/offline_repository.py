"""A repository in a check's buildroot that holds the results and all that they need, so that the rest has no network.

Everything is fetched first, with the network and verified by apt; from then on apt knows the workspace alone.
"""

import re
from collections.abc import Sequence

from deb_mock.failures import FailureClass, failure
from deb_mock.plugins.api import Buildroot
from deborch_shared.errors import ErrorCode, bounded

_LIST = "/etc/apt/sources.list.d/deb-mock-results.list"
_AS_ROOT = ("-o", "APT::Sandbox::User=root")
_ONLY_THE_LIST = ("-o", f"Dir::Etc::SourceList={_LIST}", "-o", "Dir::Etc::SourceParts=-")
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive"}
_BEGINS_WITH_A_NAME = re.compile(r"[a-z0-9]", re.IGNORECASE)
"""deb-control(5) of dpkg: so no relation is an option of apt, which would run what it names, with the network."""


class OfflineRepository:
    """The workspace of `room` as a repository."""

    def __init__(self, room: Buildroot) -> None:
        self._room = room

    async def offer_results(self) -> None:
        """Make the packages in the workspace known to apt, beside those of the suite."""
        await self._index()
        self._room.put("results.list", f"deb [trusted=yes] file:{self._room.workspace} ./\n".encode())
        await self._as_root(["install", "-m", "0644", f"{self._room.workspace}/results.list", _LIST])
        keep = ("-o", "APT::Get::List-Cleanup=false")
        await self._as_root(["apt-get", "-q", *_AS_ROOT, *_ONLY_THE_LIST, *keep, "update"])

    async def fetch(self, relations: Sequence[str]) -> None:
        """Download, with the network, what `relations` need. They may be foreign: they are checked.

        Raises:
            DeborchError: INVALID_SOURCE for what is no relation, DEPENDENCY_WAIT if suite and results cannot meet them.
        """
        if not relations:
            return
        for relation in relations:
            _check(relation)
        command = ["apt-get", "-q", "-y", *_AS_ROOT, "--download-only", "satisfy", "--", ", ".join(relations)]
        done = await self._room.run(command, as_root=True, network=True, env=_ENVIRONMENT, check=False)
        if done.returncode != 0:
            said = done.output.decode("utf-8", "replace")[-600:]
            raise failure(
                FailureClass.TEST,
                ErrorCode.DEPENDENCY_WAIT,
                f"{bounded(', '.join(relations), 200)} cannot be installed: {bounded(said, 600)}",
                hint="the packages, or what their tests need, have dependencies that the suite does not meet",
            )

    async def close(self) -> None:
        """From here on apt knows the workspace alone."""
        place = self._room.workspace
        found = ["find", "/var/cache/apt/archives", "-maxdepth", "1", "-name", "*.deb"]
        await self._as_root([*found, "-exec", "cp", "-t", place, "{}", "+"])
        await self._index()
        await self._as_root(["rm", "-f", "/etc/apt/sources.list"])
        others = ["find", "/etc/apt/sources.list.d", "-type", "f", "!", "-path", _LIST, "-delete"]
        await self._as_root(others)
        await self._as_root(["apt-get", "-q", *_AS_ROOT, "update"])

    async def _index(self) -> None:
        """Written from what dpkg-scanpackages prints; apt takes an unsigned index for one of a trusted file: source."""
        command = ["dpkg-scanpackages", "--multiversion", "."]
        await self._room.run(
            ["sh", "-c", 'exec "$@" >Packages 2>Packages.log', "sh", *command], as_root=True, cwd=self._room.workspace
        )

    async def _as_root(self, argv: list[str]) -> None:
        await self._room.run(argv, as_root=True, env=_ENVIRONMENT, quiet=True)


def _check(relation: str) -> None:
    if not all(_BEGINS_WITH_A_NAME.match(alternative.strip()) for alternative in relation.split("|")):
        raise failure(
            FailureClass.TEST,
            ErrorCode.INVALID_SOURCE,
            f"{bounded(relation, 200)!r} is no relation to packages",
            hint="give names of packages, with versions and alternatives as in Build-Depends",
        )
