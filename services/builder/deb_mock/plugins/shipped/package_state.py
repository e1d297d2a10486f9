"""Which packages are installed before the build and after it."""

import json
from typing import ClassVar

from pydantic import Field

from deb_mock.plugins.api import BuildContext, Buildroot, Plugin, PluginOptions, Results, hookimpl
from deb_mock.plugins.installed import InstalledPackage, installed_packages, packages_at_opening
from deb_mock.plugins.naming import stem


class PackageStateOptions(PluginOptions):
    """Options of package-state."""

    after: bool = Field(True, description="Look again after the build, and name what changed.")


class PackageState(Plugin):
    """Everything that is installed; a .buildinfo names only what the build dependencies need."""

    name: ClassVar[str] = "package-state"
    summary: ClassVar[str] = "Installed packages before and after the build, with versions and hashes, as JSON."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = PackageStateOptions
    options: PackageStateOptions

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._before: tuple[InstalledPackage, ...] = ()
        self._after: tuple[InstalledPackage, ...] = ()

    @hookimpl
    async def buildroot_opened(self, buildroot: Buildroot) -> None:
        """Look before anything of the source package has run."""
        self._before = self._after = await packages_at_opening(buildroot)

    @hookimpl
    async def after_build(self, buildroot: Buildroot) -> None:
        """Look again."""
        if self.options.after:
            self._after = await installed_packages(buildroot)

    @hookimpl
    def results_collected(self, build: BuildContext, results: Results) -> None:
        """Keep it."""
        before, after = ({str(package): package for package in state} for state in (self._before, self._after))
        content = {
            "installed": [package.as_dict() for package in self._before],
            "added": sorted(after.keys() - before.keys()),
            "removed": sorted(before.keys() - after.keys()),
        }
        results.add(f"{stem(build)}.package-state.json", json.dumps(content, indent=1).encode())
