"""eatmydata(1): fsync and its like do nothing during the build."""

from typing import ClassVar

from deb_mock.plugins.api import Contribution, Plugin, hookimpl


class EatMyData(Plugin):
    """A buildroot is thrown away: nothing in it has to survive a power failure."""

    name: ClassVar[str] = "eatmydata"
    summary: ClassVar[str] = "fsync, sync and O_SYNC do nothing during the build."
    api_version: ClassVar[str] = "1.0"

    @hookimpl
    def contribute(self) -> Contribution:
        """The package, and its command around the build."""
        return Contribution(packages=("eatmydata",), wrapper=("eatmydata",))
