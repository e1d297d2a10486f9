"""Buildroots with a name, kept between commands: what was changed in one is there the next time.

Layout below `state_dir/buildroots`: `NAME/{buildroot.json,root,upper}` and `NAME.lock`, which a command holds alone
while it uses the buildroot. `root` shares its files with the base by hard links, so that bases may come and go;
`upper` receives the changes. A buildroot appears by one rename; what is half made is recorded, and removed by
`Engine.recover` if its maker was killed. Mounts belong to a sandbox on top and end with it.
"""

import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from deb_mock.archives.repositories import WORKSPACE
from deb_mock.buildroots.buildroot import Buildroots, check_name, ids_tag
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure
from deb_mock.model import BUILD_UID, Base, LogSink, NamedBuildroot
from deborch_shared import locks, process
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox import record
from deborch_shared.sandbox.spec import SandboxSpec

_DESCRIPTION = "buildroot.json"
_PASSING = "/run/deb-mock"
"""Of the sandbox, gone at its end. /build is a directory of the buildroot and stays."""


class NamedBuildroots:
    """Those in the state directory."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots) -> None:
        self._config = config
        self._buildroots = buildroots
        self._directory = config.state_dir / "buildroots"

    def all(self) -> list[NamedBuildroot]:
        """Every complete one, by name."""
        found = (self._read(path.parent) for path in sorted(self._directory.glob(f"*/{_DESCRIPTION}")))
        return [buildroot for buildroot in found if buildroot is not None]

    def find(self, name: str) -> NamedBuildroot:
        """The one of that name.

        Raises:
            DeborchError: NOT_FOUND
        """
        check_name(name)
        found = self._read(self._directory / name)
        if found is None:
            names = ", ".join(one.name for one in self.all())
            raise failure(
                FailureClass.POLICY,
                ErrorCode.NOT_FOUND,
                f"there is no buildroot {name}",
                hint=f"there is {names or 'none yet'}; deb-mock init {name} makes one of that name",
            )
        return found

    async def make(self, name: str, base: Base) -> NamedBuildroot:
        """A new buildroot on `base`, which must be kept from being removed meanwhile.

        Raises:
            DeborchError: ALREADY_EXISTS
        """
        check_name(name)
        self._close()
        unfinished = self._directory / f".new-{name}-{secrets.token_hex(4)}"
        claim = f"{name}-init-{secrets.token_hex(4)}"
        async with self._alone(name), record.owned(self._config.sandboxes_dir, claim, (unfinished,)):
            if (self._directory / name).exists():
                raise failure(
                    FailureClass.POLICY,
                    ErrorCode.ALREADY_EXISTS,
                    f"there is a buildroot {name}",
                    hint="use it, or make it anew by deb-mock init --again",
                )
            unfinished.mkdir()
            await _share(base.root, unfinished / "root")
            upper = unfinished / "upper"
            upper.mkdir(mode=0o755)
            os.chown(upper, self._buildroots.file_owner, self._buildroots.file_owner)
            self._make_home(upper / WORKSPACE.strip("/"))
            content = {
                "suite": base.suite,
                "architecture": base.architecture,
                "components": base.components,
                "base": base.name,
                "ids": ids_tag(self._buildroots.ids),
                "made_at_s": time.time(),
            }
            (unfinished / _DESCRIPTION).write_text(json.dumps(content))
            unfinished.rename(self._directory / name)
        return self.find(name)

    @asynccontextmanager
    async def opened(self, name: str, on_log: LogSink) -> AsyncIterator[SandboxSpec]:
        """What its sandbox is made of; nobody else has the buildroot meanwhile.

        Raises:
            DeborchError: NOT_FOUND, or CHROOT_FAILED if ids are mapped in another way than when it was made.
        """
        check_name(name)
        waiting = f"deb-mock: another command uses the buildroot {name}; waiting for it\n".encode()
        async with self._alone(name, on_wait=lambda: on_log(waiting)):
            found = self.find(name)
            await record.recover(self._config.sandboxes_dir)
            base = Base(found.base, found.suite, found.architecture, found.directory, found.made_at_s, found.components)
            await self._buildroots.probe(base, on_log)
            if found.ids != ids_tag(self._buildroots.ids):
                raise failure(
                    FailureClass.CHROOT,
                    ErrorCode.CHROOT_FAILED,
                    f"the files of {name} belong to other ids than buildroots have now",
                    hint=f"set ids as before, or make it anew by deb-mock init --again {name}",
                )
            spec = self._buildroots.spec(name, base, upper=found.directory / "upper")
            yield replace(spec, persistent=True, workspace=_PASSING, hostname=found.name.replace(".", "-")[:63])

    async def remove(self, name: str) -> None:
        """Remove one, once nobody uses it.

        Raises:
            DeborchError: NOT_FOUND
        """
        check_name(name)
        async with self._alone(name, remove=True):
            found = self.find(name)
            doomed = self._directory / f".new-{name}-{secrets.token_hex(4)}"
            claim = f"{name}-removed-{secrets.token_hex(4)}"
            async with record.owned(self._config.sandboxes_dir, claim, (doomed,)):
                found.directory.rename(doomed)

    def _make_home(self, directory: Path) -> None:
        directory.mkdir(mode=0o755)
        owner = self._buildroots.file_owner + BUILD_UID
        os.chown(directory, owner, owner)

    def is_in_use(self, name: str) -> bool:
        with locks.exclusive_if_free(self._lock(name)) as free:
            return not free

    def _close(self) -> None:
        """Users of this host must not reach what is inside: programs with the setuid bit among it."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)

    @asynccontextmanager
    async def _alone(
        self, name: str, *, on_wait: Callable[[], None] = lambda: None, remove: bool = False
    ) -> AsyncIterator[None]:
        async with locks.exclusive(self._lock(name), on_wait=on_wait, remove=remove):
            yield

    def _lock(self, name: str) -> Path:
        return self._directory / f"{name}.lock"

    def _read(self, directory: Path) -> NamedBuildroot | None:
        try:
            content = json.loads((directory / _DESCRIPTION).read_text())
        except FileNotFoundError:
            return None
        return NamedBuildroot(
            name=directory.name,
            suite=content["suite"],
            architecture=content["architecture"],
            components=tuple(content["components"]),
            base=content["base"],
            ids=content["ids"],
            made_at_s=content["made_at_s"],
            directory=directory,
        )


async def _share(tree: Path, target: Path) -> None:
    """`target` with the files of `tree`, by hard links where both are on one file system."""
    try:
        await process.run(["cp", "-al", "--", str(tree), str(target)])
    except DeborchError:
        await record.remove_trees((target,))
        await process.run(["cp", "-a", "--reflink=auto", "--", str(tree), str(target)])
