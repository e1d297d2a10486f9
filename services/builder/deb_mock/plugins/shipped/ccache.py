"""ccache(1): compilers answer from a cache that is kept from build to build."""

from typing import ClassVar

from pydantic import Field

from deb_mock.plugins.api import BuildContext, Buildroot, Contribution, Plugin, PluginOptions, hookimpl
from deborch_shared.sandbox.spec import Bind

_DIRECTORY = "/var/cache/ccache"
_STATISTICS = ("direct_cache_hit", "preprocessed_cache_hit", "cache_miss")
_PATH = "/usr/lib/ccache:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CcacheOptions(PluginOptions):
    """Options of ccache."""

    max_size_mib: int = Field(5 * 1024, gt=0, description="Size of the cache of one suite and architecture.")


class Ccache(Plugin):
    """What is in the cache was written by builds: only those that trust each other may share it."""

    name: ClassVar[str] = "ccache"
    summary: ClassVar[str] = "Compilers answer from a cache kept per suite and architecture; not for releases."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = CcacheOptions
    options: CcacheOptions

    @hookimpl
    def contribute(self, build: BuildContext) -> Contribution:
        """The package, its links before the compilers, and the cache."""
        return Contribution(
            packages=("ccache",),
            binds=(Bind(build.cache_directory(for_build_user=True), _DIRECTORY, read_only=False),),
            environment={**self._environment, "PATH": _PATH},
        )

    @hookimpl
    async def before_build(self, buildroot: Buildroot) -> None:
        """Count from zero."""
        await buildroot.run(["ccache", "--zero-stats"], env=self._environment, quiet=True)

    @hookimpl
    async def after_build(self, build: BuildContext, buildroot: Buildroot) -> None:
        """Say how much it helped."""
        shown = await buildroot.run(["ccache", "--print-stats"], env=self._environment, quiet=True, check=False)
        counts = dict(
            line.split("\t", 1) for line in shown.output.decode("utf-8", "replace").splitlines() if "\t" in line
        )
        build.say(", ".join(f"{name.replace('_', ' ')} {counts.get(name, '?')}" for name in _STATISTICS))

    @property
    def _environment(self) -> dict[str, str]:
        return {"CCACHE_DIR": _DIRECTORY, "CCACHE_MAXSIZE": f"{self.options.max_size_mib}Mi"}
