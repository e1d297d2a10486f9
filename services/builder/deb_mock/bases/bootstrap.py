"""A base made by the suite's own apt and dpkg, for suites that the host's are too old for.

Two steps: the host's mmdebstrap makes a small root of the suite with apt and mmdebstrap in it, which is kept; that
one's mmdebstrap, in that root, makes the base. The root is used and changed by whoever holds the suite's lock.
"""

import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from deb_mock.bases.index import HALF_MADE, age_s
from deb_mock.bases.making import run_mmdebstrap
from deb_mock.bases.recipe import BaseRecipe
from deb_mock.engine_config import Bootstrap, EngineConfig
from deb_mock.failures import FailureClass, failure
from deb_mock.model import LogSink
from deborch_shared.errors import ErrorCode
from deborch_shared.sandbox.record import remove_trees
from deborch_shared.versions import compare

NEEDED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "trixie": MappingProxyType({"apt": "2.6", "dpkg": "1.21.18"}),
        "forky": MappingProxyType({"apt": "2.9.19", "dpkg": "1.22.0"}),
        "sid": MappingProxyType({"apt": "2.9.19", "dpkg": "1.22.0"}),
        "unstable": MappingProxyType({"apt": "2.9.19", "dpkg": "1.22.0"}),
        "experimental": MappingProxyType({"apt": "2.9.19", "dpkg": "1.22.0"}),
        "jammy": MappingProxyType({"apt": "2.4", "dpkg": "1.21.18"}),
        "noble": MappingProxyType({"apt": "2.6", "dpkg": "1.21.18"}),
        "resolute": MappingProxyType({"apt": "2.9.19", "dpkg": "1.22.0"}),
    }
)
"""The oldest tools that a suite can be made with. Debian's dpkg reads zstd since 1.21.18; from forky on archives are
signed and checked as apt 2.9.19 does (sqv), and packages expect a dpkg that knows the merged /usr of 2024. The versions
are those of the stable release before: Debian supports upgrades, and so tools, from there."""
_WORK = "target"
_HOST_FILES = ("etc/resolv.conf", "etc/hosts")


def needs_bootstrap(suite: str, versions: Mapping[str, str], setting: Bootstrap) -> bool:
    """Whether a base of `suite` is made by the suite's own tools; `versions` are those of the host."""
    if setting is not Bootstrap.AUTO:
        return setting is Bootstrap.ALWAYS
    needed = NEEDED.get(suite.partition("-")[0], {})
    return any(compare(versions[name], oldest) < 0 for name, oldest in needed.items() if name in versions)


class Bootstrapper:
    """Makes bases in roots of their own suite."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._directory = config.bootstraps_dir

    async def make(self, recipe: BaseRecipe, target: Path, on_log: LogSink) -> None:
        """Make the tree `target`, on the file system of the cache.

        Raises:
            DeborchError: as `run_mmdebstrap`, and INVALID_SETTING for archives that cannot be seen from inside.
        """
        if any(source.uri.startswith(("file:", "copy:")) for source in recipe.sources):
            raise failure(
                FailureClass.CHROOT,
                ErrorCode.INVALID_SETTING,
                f"{recipe.suite} needs a newer apt than this host's, which cannot read an archive in a directory",
                hint="serve the archive over HTTP, or set bootstrap to never to try the host's apt",
            )
        root = await self._root(recipe, on_log)
        work = root / _WORK / secrets.token_hex(4)
        work.mkdir(parents=True)
        try:
            (work / "sources.list").write_text(recipe.source_lines())
            inside = Path("/") / work.relative_to(root)
            on_log(f"deb-mock: with the apt and dpkg of {recipe.suite} itself\n".encode())
            command = recipe.command(inside / "root", inside / "sources.list")
            await run_mmdebstrap(command, recipe, self._config.proxies, on_log, root=root)
            (work / "root").rename(target)
        finally:
            await remove_trees((root / _WORK,))

    async def _root(self, recipe: BaseRecipe, on_log: LogSink) -> Path:
        """The small root, made if there is none or it is too old."""
        directory = self._directory / f"{recipe.suite}-{recipe.architecture}-{recipe.digest()}"
        root = directory / "root"
        with suppress(FileNotFoundError):
            if age_s(directory.stat().st_mtime) > self._config.base_max_age_s:
                await remove_trees((directory,))
        if not root.is_dir():
            await remove_trees(self._directory.glob(f"{HALF_MADE}{recipe.suite}-{recipe.architecture}-*"))
            unfinished = self._directory / f"{HALF_MADE}{directory.name}-{secrets.token_hex(4)}"
            unfinished.mkdir(parents=True)
            try:
                on_log(f"deb-mock: first, a root with the tools of {recipe.suite}, newer than this host's\n".encode())
                sources = unfinished / "sources.list"
                sources.write_text(recipe.source_lines())
                command = recipe.bootstrap_command(unfinished / "root", sources)
                await run_mmdebstrap(command, recipe, self._config.proxies, on_log)
                unfinished.rename(directory)
            except BaseException:
                await remove_trees((unfinished,))
                raise
        _carry_over(root, recipe)
        return root


def _carry_over(root: Path, recipe: BaseRecipe) -> None:
    """What the host knows of the network, and the keys."""
    for name in (*_HOST_FILES, str(recipe.keyring).lstrip("/")):
        source, target = Path("/") / name, root / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(source, target)
            target.chmod(0o644)
