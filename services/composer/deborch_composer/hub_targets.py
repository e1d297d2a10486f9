"""Targets of the hub as an engine needs them: what they build for, and how apt reads their archives."""

from dataclasses import dataclass

from debian.deb822 import Deb822

from deborch_shared.contract.targets import Target
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.http import ApiClient


@dataclass(frozen=True, slots=True)
class TargetArchive:
    """What the `.sources` file of an archive says; `key` is armoured."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    key: str


class HubTargets:
    """Asks the hub each time: an archive may move."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def target(self, name: str) -> Target:
        """Raises:
        DeborchError: NOT_FOUND
        """
        return await self._client.get(f"/api/v1/targets/{name}", Target)

    async def archive(self, name: str) -> TargetArchive:
        """Where the archive of a target is.

        Raises:
            DeborchError: NOT_FOUND
        """
        text = await self._client.call("GET", f"/api/v1/archives/{name}/sources")
        fields = Deb822(text.decode("utf-8", "replace").splitlines())
        found = TargetArchive(
            uris=tuple(fields.get("URIs", "").split()),
            suites=tuple(fields.get("Suites", "").split()),
            components=tuple(fields.get("Components", "").split()),
            key=_armoured(fields.get("Signed-By", "")),
        )
        if not found.uris or not found.suites or "BEGIN PGP" not in found.key:
            raise DeborchError(
                ErrorCode.INTERNAL,
                f"the hub describes the archive of {name} in a way that is not understood: {bounded(text, 200)}",
                hint="upgrade hub and composer to one version",
            )
        return found


def _armoured(value: str) -> str:
    """A key in a deb822 field: lines are indented, and an empty one is a full stop (sources.list(5))."""
    lines = [line.strip() for line in value.strip().splitlines()]
    return "".join(f"{'' if line == '.' else line}\n" for line in lines)
