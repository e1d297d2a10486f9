"""What plug-ins add to a build, joined, and put where it belongs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from deb_mock.model import BuildRequest
from deb_mock.plugins.api import Contribution
from deb_mock.plugins.catalogue import refused
from deborch_shared.sandbox.spec import Bind, SandboxSpec


class Contributions:
    """The contributions to one build, in order."""

    def __init__(self) -> None:
        self._all: list[tuple[str, Contribution]] = []

    def add(self, plugin: str, contribution: Contribution) -> None:
        """One more.

        Raises:
            DeborchError: PLUGIN_FAILED if it contradicts one that was there before.
        """
        for other, before in self._all:
            differing = sorted(
                name for name, value in contribution.environment.items() if before.environment.get(name, value) != value
            )
            taken = {bind.target for bind in before.binds} & {bind.target for bind in contribution.binds}
            if differing or taken:
                what = f"{', '.join([*differing, *sorted(taken)])}"
                raise refused(plugin, f"and {other} both want {what}", "disable one of the two")
        self._all.append((plugin, contribution))

    @property
    def environment(self) -> dict[str, str]:
        """Variables for dpkg-buildpackage."""
        return {name: value for _, each in self._all for name, value in each.environment.items()}

    @property
    def packages(self) -> tuple[str, ...]:
        """Relations beside the build dependencies."""
        return tuple(dict.fromkeys(name for _, each in self._all for name in each.packages))

    def request(self, request: BuildRequest) -> BuildRequest:
        """`request` with what the plug-ins add to it."""
        words = (word for _, each in self._all for word in each.build_options)
        return replace(
            request,
            build_options=tuple(dict.fromkeys((*request.build_options, *words))),
            add_depends=tuple(dict.fromkeys((*request.add_depends, *self.packages))),
        )

    def spec(self, spec: SandboxSpec) -> SandboxSpec:
        """The buildroot of the build with what the plug-ins add to it."""
        binds = (*spec.binds, *self._binds())
        sizes = [each.scratch_bytes for _, each in self._all if each.scratch_bytes is not None]
        return replace(spec, binds=binds, scratch_bytes=(sizes[-1] or None) if sizes else spec.scratch_bytes)

    def build_command(self, argv: Sequence[str]) -> list[str]:
        """dpkg-buildpackage's command line, wrapped; the first plug-in is the outermost."""
        return [*(word for _, each in self._all for word in each.wrapper), *argv]

    def apt_command(self, argv: Sequence[str]) -> list[str]:
        """apt-get's command line with the settings of the plug-ins."""
        settings = [f"{name}={value}" for _, each in self._all for name, value in each.apt_options.items()]
        return [argv[0], *(word for setting in settings for word in ("-o", setting)), *argv[1:]]

    def _binds(self) -> Iterator[Bind]:
        for _, each in self._all:
            yield from each.binds
