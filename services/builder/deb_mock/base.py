"""Base images: made once by mmdebstrap, kept as directories, shared by every buildroot of the suite.

Layout below `bases_dir`: `SUITE-ARCH-DIGEST-TIME/{root,base.json}`, and `NAME.use`, which each buildroot holds
shared and removal needs alone. A base appears by one rename; `.new-*` is half made and belongs to whoever holds the
suite's lock.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deb_mock import locks
from deb_mock.base_recipe import BaseRecipe
from deb_mock.failures import FailureClass, failure
from deb_mock.host_apt import HostApt, read_host_apt
from deb_mock.model import MAIN_ONLY, Base, EngineConfig, LogSink
from deborch_shared import process
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.record import remove_trees

_MAKING_TAKES_AT_MOST_S = 1800.0
_ENDED_WITH_US = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
"""util-linux: if this process is killed, mmdebstrap and its mounts go with it."""
_GRACE_S = 0.2
"""What mmdebstrap would clean up is removed by us anyway."""
_DESCRIPTION = "base.json"
_HALF_MADE = ".new-"


class BaseStore:
    """The bases in the cache directory."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._directory = config.bases_dir

    async def ensure(
        self, suite: str, architecture: str, on_log: LogSink, *, components: tuple[str, ...] = MAIN_ONLY
    ) -> Base:
        """The base of `suite` with `components` for `architecture`, made if there is none or it is too old.

        Raises:
            DeborchError: CHROOT_FAILED with the end of mmdebstrap's output, FETCH_FAILED if the archive cannot be
                reached, INVALID_SETTING if there is no archive to use, INVALID_INPUT for another architecture.
        """
        await _check_architecture(architecture)
        host = await read_host_apt()
        recipe = BaseRecipe(
            suite=suite,
            architecture=architecture,
            sources=host.archive(suite, self._config.mirror, components),
            components=components,
            settings=host.settings,
            keyring=self._config.keyring,
            mmdebstrap=await _mmdebstrap_version(),
        )
        if (base := self._usable(recipe)) is not None:
            return base
        lock = self._lock(f"{suite}-{architecture}")
        waiting = f"deb-mock: another process makes the base of {suite} {architecture}; waiting for it\n".encode()
        async with locks.exclusive(lock, on_wait=lambda: on_log(waiting)):
            if (base := self._usable(recipe)) is not None:
                return base
            await remove_trees(self._half_made(f"{suite}-{architecture}-"))
            base = await self._make(recipe, host, on_log)
            await self._remove_older_than(base)
            return base

    @contextmanager
    def in_use(self, base: Base) -> Iterator[None]:
        """Keep `base` and its layers from being removed meanwhile.

        Raises:
            DeborchError: CHROOT_FAILED (temporary) if it was just removed.
        """
        with locks.shared_if_free(self._use_lock(base.name)) as free:
            if not free or not base.root.is_dir():
                raise failure(
                    FailureClass.CHROOT,
                    ErrorCode.CHROOT_FAILED,
                    f"the base {base.name} was removed meanwhile",
                    hint="try again: it is made anew",
                )
            yield

    def all(self) -> list[Base]:
        """Every complete base, oldest first."""
        bases = (self._read(path) for path in self._directory.glob(f"*/{_DESCRIPTION}"))
        return sorted((base for base in bases if base is not None), key=lambda base: base.made_at_s)

    async def remove(self, base: Base) -> bool:
        """Remove `base` and its layers if no buildroot uses it; tells whether."""
        with locks.exclusive_if_free(self._use_lock(base.name)) as free:
            if not free:
                return False
            doomed = self._directory / f"{_HALF_MADE}{base.name}-removed"
            base.directory.rename(doomed)
            await remove_trees((doomed, self._config.layers_dir / base.name))
            self._use_lock(base.name).unlink(missing_ok=True)
            return True

    async def recover(self) -> tuple[str, ...]:
        """Remove half-made bases that nobody is making now; their names."""
        removed = []
        for path in self._half_made(""):
            suite_and_architecture = path.name.removeprefix(_HALF_MADE).rsplit("-", 3)[0]
            with locks.exclusive_if_free(self._lock(suite_and_architecture)) as free:
                if free:
                    await remove_trees((path,))
                    removed.append(path.name)
        return tuple(removed)

    def _usable(self, recipe: BaseRecipe) -> Base | None:
        prefix = f"{recipe.suite}-{recipe.architecture}-{recipe.digest()}-"
        oldest_s = time.time() - self._config.base_max_age_s
        young = [base for base in self.all() if base.name.startswith(prefix) and base.made_at_s > oldest_s]
        return young[-1] if young else None

    async def _make(self, recipe: BaseRecipe, host: HostApt, on_log: LogSink) -> Base:
        made_at_s = time.time()
        name = f"{recipe.suite}-{recipe.architecture}-{recipe.digest()}-{int(made_at_s)}"
        unfinished = self._directory / f"{_HALF_MADE}{name}-{secrets.token_hex(4)}"
        unfinished.mkdir(parents=True)
        try:
            _announce(recipe, host, on_log)
            sources = unfinished / "sources.list"
            sources.write_text(recipe.source_lines())
            await self._run_mmdebstrap(recipe, unfinished / "root", sources, on_log)
            base = Base(name, recipe.suite, recipe.architecture, self._directory / name, made_at_s, recipe.components)
            _describe(base, unfinished / _DESCRIPTION)
            unfinished.rename(base.directory)
        except BaseException:
            await remove_trees((unfinished,))
            raise
        on_log(f"deb-mock: base {name} is ready after {time.time() - made_at_s:.0f} s\n".encode())
        return base

    async def _run_mmdebstrap(self, recipe: BaseRecipe, target: Path, sources: Path, on_log: LogSink) -> None:
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        try:
            await process.run(
                [*_ENDED_WITH_US, *recipe.command(target, sources)],
                env={**environment, **self._config.proxies},
                on_output=on_log,
                timeout_s=_MAKING_TAKES_AT_MOST_S,
                grace_s=_GRACE_S,
            )
        except DeborchError as error:
            raise _explained(error, recipe) from error

    async def _remove_older_than(self, base: Base) -> None:
        for other in self.all():
            same = (other.suite, other.architecture, other.components) == (
                base.suite,
                base.architecture,
                base.components,
            )
            if same and other.made_at_s < base.made_at_s:
                await self.remove(other)

    def _half_made(self, prefix: str) -> list[Path]:
        return sorted(self._directory.glob(f"{_HALF_MADE}{prefix}*"))

    def _read(self, path: Path) -> Base | None:
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        directory = path.parent
        components = tuple(content.get("components", MAIN_ONLY))
        return Base(
            directory.name, content["suite"], content["architecture"], directory, content["made_at_s"], components
        )

    def _lock(self, suite_and_architecture: str) -> Path:
        return self._directory / f"{suite_and_architecture}.lock"

    def _use_lock(self, name: str) -> Path:
        return self._directory / f"{name}.use"


def _describe(base: Base, path: Path) -> None:
    content = {
        "suite": base.suite,
        "architecture": base.architecture,
        "components": base.components,
        "made_at_s": base.made_at_s,
    }
    path.write_text(json.dumps(content))


def _announce(recipe: BaseRecipe, host: HostApt, on_log: LogSink) -> None:
    on_log(f"deb-mock: making the base of {recipe.suite} {recipe.architecture} by mmdebstrap\n".encode())
    for source in recipe.sources:
        on_log(f"deb-mock: from {source.uri} {source.suite}\n".encode())
    for name, value in host.settings.items():
        shown = "(set)" if "Proxy" in name else value
        on_log(f"deb-mock: the host's apt setting {name} {shown} is carried over\n".encode())


def _explained(error: DeborchError, recipe: BaseRecipe) -> DeborchError:
    output = str(error.fields.get("output", ""))
    if error.fields.get("reason") == "start":
        return error
    if any(
        sign in output for sign in ("Could not resolve", "Could not connect", "Failed to fetch", "Unable to connect")
    ):
        return failure(
            FailureClass.FETCH,
            ErrorCode.FETCH_FAILED,
            f"the archive of {recipe.suite} could not be read: {output[-600:]}",
            hint="check the network, the proxy variables and the mirror setting; is the suite's name right?",
        )
    return failure(
        FailureClass.CHROOT,
        ErrorCode.CHROOT_FAILED,
        f"mmdebstrap could not make the base of {recipe.suite}: {output[-600:]}",
        hint="the end of its output says why; an expired or foreign archive key is the usual reason",
    )


async def _check_architecture(architecture: str) -> None:
    native = (await process.run(["dpkg", "--print-architecture"], timeout_s=30)).output.decode().strip()
    if architecture != native:
        raise failure(
            FailureClass.POLICY,
            ErrorCode.INVALID_INPUT,
            f"this machine builds for {native}, not for {architecture}",
            hint=f"ask for {native}, or use a builder of that architecture",
        )


async def _mmdebstrap_version() -> str:
    """As dpkg knows it: asking mmdebstrap itself takes ten times as long."""
    asked = await process.run(["dpkg-query", "-W", "-f", "${Version}", "mmdebstrap"], timeout_s=30, check=False)
    if asked.returncode == 0 and asked.output:
        return asked.output.decode()
    raise failure(
        FailureClass.CHROOT,
        ErrorCode.CHROOT_FAILED,
        "mmdebstrap is not installed on this machine",
        hint="apt-get install mmdebstrap",
    )
