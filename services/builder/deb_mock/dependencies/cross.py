"""What a cross build needs beside its build dependencies: the index of the other architecture, and a toolchain.

As sbuild does it: packages for the host architecture are Multi-Arch neighbours of the native ones, and
crossbuild-essential brings compilers that run here. Without libc6-dev of the host architecture dpkg-shlibdeps
finds no symbols files.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deb_mock.archives import apt_output
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.failures import FailureClass, failure
from deb_mock.layers.once_layer import once_layer
from deb_mock.model import Base, BuildRequest
from deb_mock.plans.build_plan import is_cross
from deb_mock.stages.steps import Steps
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.box import Sandbox

_LIBSTDCXX = re.compile(r"(libstdc\+\+-\d+-dev)(?::[a-z0-9-]+)?\.list\Z")
_DPKG_INFO = Path("var/lib/dpkg/info")


def toolchain(base: Base, request: BuildRequest) -> tuple[str, ...]:
    """More build dependencies, in the syntax of Build-Depends: without a suffix, of the host architecture."""
    if not is_cross(request):
        return ()
    libraries = sorted(
        match[1] for path in (base.root / _DPKG_INFO).iterdir() if (match := _LIBSTDCXX.match(path.name)) is not None
    )
    return (f"crossbuild-essential-{request.host_architecture}:native", "libc6-dev", *libraries)


class ForeignIndices:
    """Layers with which apt knows the packages of another architecture; made once for a base."""

    def __init__(self, buildroots: Buildroots, environment: dict[str, str]) -> None:
        self._buildroots = buildroots
        self._environment = environment

    @asynccontextmanager
    async def layers(self, base: Base, request: BuildRequest, steps: Steps) -> AsyncIterator[tuple[Path, ...]]:
        """None for a native build, one for a cross build, which nobody removes meanwhile.

        Raises:
            DeborchError: INVALID_INPUT if dpkg does not know the architecture, FETCH_FAILED if the suite lacks it.
        """
        if not is_cross(request):
            yield ()
            return
        host = str(request.host_architecture)

        async def fill(sandbox: Sandbox) -> None:
            await self._read_lists(sandbox, base, host, steps)

        async with once_layer(self._buildroots, base, f"foreign-{host}", fill, steps) as layer:
            yield (layer,)

    async def _read_lists(self, sandbox: Sandbox, base: Base, host: str, steps: Steps) -> None:
        steps.say(f"reading the package lists of {host}, once for this base")
        known = await steps.run(sandbox, ["dpkg-architecture", f"-a{host}", "-qDEB_HOST_ARCH"], check=False)
        if known.returncode != 0 or b"unknown" in known.output.lower():
            raise failure(
                FailureClass.POLICY,
                ErrorCode.INVALID_INPUT,
                f"{host} is no architecture that the dpkg of {base.suite} knows",
                hint="`dpkg-architecture -L` lists them",
            )
        await steps.run(sandbox, ["dpkg", "--add-architecture", host])
        command = ["apt-get", "-q", *apt_output.STRICT_UPDATE, "update"]
        read = await steps.run(sandbox, command, env=self._environment, network=True, check=False)
        if read.returncode != 0:
            output = read.output.decode("utf-8", "replace")
            doing = f"reading the package lists of {host}"
            raise apt_output.explain(output, doing=doing, otherwise=FailureClass.FETCH)
