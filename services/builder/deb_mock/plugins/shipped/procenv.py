"""What a process of the build sees: environment, limits, ids, mounts, namespaces."""

from typing import ClassVar

from pydantic import Field

from deb_mock.plugins.api import BuildContext, Buildroot, Contribution, Plugin, PluginOptions, Results, hookimpl
from deb_mock.plugins.naming import stem

_COMMANDS = (
    ("env",),
    ("id",),
    ("cat", "/proc/self/status"),
    ("cat", "/proc/self/limits"),
    ("cat", "/proc/self/mountinfo"),
    ("cat", "/proc/self/cgroup"),
    ("cat", "/proc/self/uid_map"),
    ("ls", "-l", "/proc/self/ns", "/dev"),
    ("df", "-h"),
)


class ProcenvOptions(PluginOptions):
    """Options of procenv."""

    package: bool = Field(False, description="Install and run procenv(1) too; not every suite has it.")


class Procenv(Plugin):
    """Mock's plug-in of the same name, that works without the program too."""

    name: ClassVar[str] = "procenv"
    summary: ClassVar[str] = "Environment, limits, ids and mounts as the build sees them, among the results."
    api_version: ClassVar[str] = "1.0"
    options_model: ClassVar[type[PluginOptions]] = ProcenvOptions
    options: ProcenvOptions

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._seen: list[str] = []

    @hookimpl
    def contribute(self) -> Contribution:
        """The package, if it is wanted."""
        return Contribution(packages=("procenv",) if self.options.package else ())

    @hookimpl
    async def before_build(self, build: BuildContext, buildroot: Buildroot) -> None:
        """Ask as the build user, with the environment of the build."""
        for command in (*_COMMANDS, *((("procenv",),) if self.options.package else ())):
            asked = await buildroot.run(
                command, cwd=buildroot.workspace, env=build.build_environment, quiet=True, check=False
            )
            self._seen.append(f"$ {' '.join(command)}\n{asked.output.decode('utf-8', 'replace')}")

    @hookimpl
    def results_collected(self, build: BuildContext, results: Results) -> None:
        """Keep it."""
        results.add(f"{stem(build)}.procenv.txt", "\n".join(self._seen).encode())
