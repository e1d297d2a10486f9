"""sccache: as ccache, for Rust too; where the suite has the package."""

from typing import ClassVar

from pydantic import Field

from deb_mock.plugins.api import BuildContext, Buildroot, Contribution, Plugin, PluginOptions, hookimpl
from deborch_shared.sandbox.spec import Bind

_DIRECTORY = "/var/cache/sccache"
_LAUNCHERS = ("RUSTC_WRAPPER", "CMAKE_C_COMPILER_LAUNCHER", "CMAKE_CXX_COMPILER_LAUNCHER")


class SccacheOptions(PluginOptions):
    """Options of sccache."""

    max_size_mib: int = Field(5 * 1024, gt=0, description="Size of the cache of one suite and architecture.")


class Sccache(Plugin):
    """Reaches cargo and CMake by the variables that they read; make alone does not know it."""

    name: ClassVar[str] = "sccache"
    summary: ClassVar[str] = "rustc, and compilers started by CMake, answer from a kept cache; not for releases."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = SccacheOptions
    options: SccacheOptions

    @hookimpl
    def contribute(self, build: BuildContext) -> Contribution:
        """The package, the variables, and the cache."""
        return Contribution(
            packages=("sccache",),
            binds=(Bind(build.cache_directory(for_build_user=True), _DIRECTORY, read_only=False),),
            environment={
                "SCCACHE_DIR": _DIRECTORY,
                "SCCACHE_CACHE_SIZE": f"{self.options.max_size_mib}M",
                **dict.fromkeys(_LAUNCHERS, "sccache"),
            },
        )

    @hookimpl
    async def before_build(self, build: BuildContext, buildroot: Buildroot) -> None:
        """Say what is used."""
        shown = await buildroot.run(["sccache", "--version"], quiet=True)
        build.say(shown.output.decode("utf-8", "replace").strip())
