"""Base images: kept as directories, shared by every buildroot of the suite.

Layout below `bases_dir`: `SUITE-ARCH-DIGEST/{root,base.json}`, `NAME.use`, which each buildroot holds shared and
removal needs alone (its time is that of the last use), and `SUITE-ARCH-RECIPE.release`, the state of the archive
when it was last asked. A base appears by one rename; `.new-*` is half made and belongs to whoever holds the suite's
lock.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from deb_mock.archives.archive import archive_sources
from deb_mock.archives.release import Checked, current_state, listed_state
from deb_mock.bases.bootstrap import Bootstrapper, needs_bootstrap
from deb_mock.bases.host_facts import host_facts
from deb_mock.bases.index import (
    HALF_MADE,
    age_s,
    base_name,
    half_made_name,
    read_bases,
    suite_and_architecture,
    write_description,
)
from deb_mock.bases.making import announce, run_mmdebstrap
from deb_mock.bases.recipe import BaseRecipe
from deb_mock.bases.refresh import BaseRefresher
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failure, failures_are
from deb_mock.host import foreign
from deb_mock.host.tree_sizes import tree_contents, tree_size_bytes
from deb_mock.model import MAIN_ONLY, Base, LogSink
from deborch_shared import locks
from deborch_shared.apt.host import HostApt
from deborch_shared.apt.redaction import redacted
from deborch_shared.apt.releases import release_url
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sandbox.record import boot_id, remove_trees

_HOST_FACTS = "host.json"
MakeTree = Callable[[BaseRecipe, Path, LogSink], Awaitable[None]]
"""Makes a base's files from nothing, at the given path."""


class BaseStore:
    """The bases in the cache directory."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots, make_tree: MakeTree | None = None) -> None:
        self._config = config
        self._directory = config.bases_dir
        self._bootstrapper = Bootstrapper(config)
        self._make_tree = make_tree or self._by_mmdebstrap
        self._refresher = BaseRefresher(config, buildroots)

    async def ensure(
        self,
        suite: str,
        architecture: str,
        on_log: LogSink,
        *,
        components: tuple[str, ...] = MAIN_ONLY,
        check: bool = False,
    ) -> Base:
        """The base of `suite` with `components` for `architecture`, made or brought up to date if need be.

        Without `check` the archive is asked at most once in `base_check_interval_s`, and a base that there is already
        is good enough if the archive cannot be read.

        Raises:
            DeborchError: CHROOT_FAILED with the end of mmdebstrap's output, FETCH_FAILED if the archive cannot be
                reached, INVALID_SETTING if there is no archive to use, INVALID_INPUT for another architecture.
        """
        recipe, host = await self._recipe(suite, architecture, components)
        known = await self._newest_whole(recipe, on_log)
        if known is not None and not check and not self._is_due(recipe):
            return known
        lock = self._lock(f"{suite}-{architecture}")
        if known is not None and not check:
            with locks.exclusive_if_free(lock) as free:
                return await self._brought_up_to_date(recipe, host, known, on_log) if free else known
        waiting = f"deb-mock: another process makes the base of {suite} {architecture}; waiting for it\n".encode()
        async with locks.exclusive(lock, on_wait=lambda: on_log(waiting)):
            known = await self._newest_whole(recipe, on_log)
            if known is None:
                return await self._make(recipe, host, on_log)
            if check or self._is_due(recipe):
                return await self._brought_up_to_date(recipe, host, known, on_log, strict=check)
            return known

    async def _recipe(self, suite: str, architecture: str, components: tuple[str, ...]) -> tuple[BaseRecipe, HostApt]:
        with failures_are(FailureClass.CHROOT):
            facts, host = await host_facts(self._config.cache_dir / _HOST_FACTS)
        await asyncio.to_thread(foreign.require, architecture, facts.architecture)
        recipe = BaseRecipe(
            suite=suite,
            architecture=architecture,
            sources=archive_sources(host, self._config, suite, components),
            components=components,
            settings=host.settings,
            keyring=self._config.keyring,
            mmdebstrap=facts.versions["mmdebstrap"],
            bootstrapped=needs_bootstrap(suite, facts.versions, self._config.bootstrap),
        )
        return recipe, host

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
            os.utime(self._use_lock(base.name))
            yield

    def all(self) -> list[Base]:
        """Every complete base, oldest first."""
        return read_bases(self._directory)

    def used_at_s(self, base: Base) -> float:
        """When a buildroot last began to use it."""
        try:
            return max(base.made_at_s, self._use_lock(base.name).stat().st_mtime)
        except FileNotFoundError:
            return base.made_at_s

    def is_in_use(self, base: Base) -> bool:
        """Whether a buildroot holds it now."""
        return locks.is_held(self._use_lock(base.name))

    async def remove(self, base: Base) -> bool:
        """Remove `base` if no buildroot uses it, and its layers if no other generation has them; tells whether."""
        with locks.exclusive_if_free(self._use_lock(base.name)) as free:
            if not free:
                return False
            doomed = self._directory / half_made_name(base.name)
            with suppress(FileNotFoundError):
                base.directory.rename(doomed)
            shared = any(other.tree == base.tree for other in self.all())
            await remove_trees((doomed, *(() if shared else (self._config.layers_dir / (base.tree or base.name),))))
            self._use_lock(base.name).unlink(missing_ok=True)
            return True

    async def recover(self) -> tuple[str, ...]:
        """Remove half-made bases that nobody is making now; their names."""
        removed = []
        for path in self._half_made(""):
            with locks.exclusive_if_free(self._lock(suite_and_architecture(path.name))) as free:
                if free:
                    await remove_trees((path,))
                    removed.append(path.name)
        return tuple(removed)

    def _generations(self, recipe: BaseRecipe) -> list[Base]:
        return [base for base in self.all() if base.recipe == recipe.digest()]

    async def _newest_whole(self, recipe: BaseRecipe, on_log: LogSink) -> Base | None:
        """As `_newest`. After a restart of the machine a base is looked through once: what was written shortly before
        a power cut may be there by name only. One that lacks something is removed."""
        while (base := self._newest(recipe)) is not None and base.boot_id != boot_id():
            found = await asyncio.to_thread(tree_contents, base.root)
            if found == (base.count, base.length_bytes):
                write_description(replace(base, boot_id=boot_id()), base.directory)
                return base
            on_log(f"deb-mock: the base {base.name} is damaged; it is made anew\n".encode())
            if not await self.remove(base):
                raise failure(
                    FailureClass.CHROOT,
                    ErrorCode.CHROOT_FAILED,
                    f"the base {base.name} is damaged, and a buildroot uses it",
                    hint="end the builds and named buildroots on it, then try again: it is made anew",
                )
        return base

    def _newest(self, recipe: BaseRecipe) -> Base | None:
        """The generation of the state that the archive was last seen in, or else the newest."""
        generations = self._generations(recipe)
        checked = Checked.read(self._checked(recipe))
        matching = [base for base in generations if checked is not None and base.release == checked.state]
        found = matching or generations
        return found[-1] if found else None

    def _is_due(self, recipe: BaseRecipe) -> bool:
        checked = Checked.read(self._checked(recipe))
        return checked is None or not 0 <= time.time() - checked.at_s < self._config.base_check_interval_s

    async def _brought_up_to_date(
        self, recipe: BaseRecipe, host: HostApt, known: Base, on_log: LogSink, *, strict: bool = False
    ) -> Base:
        """The generation for today's archive. Unless `strict`, `known` if the archive or the new base is no good."""
        try:
            base = await self._of_today(recipe, host, known, on_log)
        except DeborchError as error:
            if strict:
                raise
            on_log(f"deb-mock: the base could not be brought up to date: {error.message}\n".encode())
            base = known
        else:
            if base.name != known.name:
                await self._remove_old_generations(recipe, base)
        Checked(base.release, time.time()).write(self._checked(recipe))
        return base

    async def _of_today(self, recipe: BaseRecipe, host: HostApt, known: Base, on_log: LogSink) -> Base:
        urls = [release_url(source.uri, source.suite) for source in recipe.sources]
        state = await current_state(urls, self._config.sandboxes_dir, self._config.proxies) if known.release else None
        too_old = age_s(known.tree_made_at_s) > self._config.base_max_age_s
        if state is None and known.release:
            raise failure(
                FailureClass.FETCH,
                ErrorCode.FETCH_FAILED,
                f"the archive of {recipe.suite} cannot be read now ({redacted(', '.join(urls))})",
                hint="check the network and the mirror setting; builds go on with the base that is there",
            )
        matching = [base for base in self._generations(recipe) if base.release and base.release == state]
        if matching:
            return matching[-1]
        if not known.release and not too_old:
            return known
        on_log(f"deb-mock: the archive of {recipe.suite} has changed\n".encode())
        refreshed = None if too_old else await self._refresh(recipe, known, on_log)
        return refreshed or await self._make(recipe, host, on_log)

    async def _refresh(self, recipe: BaseRecipe, known: Base, on_log: LogSink) -> Base | None:
        unfinished = await self._begin(recipe)
        try:
            with self.in_use(known):
                if not await self._refresher.refresh(known, unfinished / "root", on_log):
                    await remove_trees((unfinished,))
                    return None
            return await self._complete(recipe, unfinished, on_log, like=known)
        except BaseException:
            await remove_trees((unfinished,))
            raise

    async def _make(self, recipe: BaseRecipe, host: HostApt, on_log: LogSink) -> Base:
        unfinished = await self._begin(recipe)
        try:
            announce(recipe, host, self._config.proxies, on_log)
            await self._make_tree(recipe, unfinished / "root", on_log)
            base = await self._complete(recipe, unfinished, on_log)
        except BaseException:
            await remove_trees((unfinished,))
            raise
        Checked(base.release, time.time()).write(self._checked(recipe))
        return base

    async def _by_mmdebstrap(self, recipe: BaseRecipe, target: Path, on_log: LogSink) -> None:
        if recipe.bootstrapped:
            await self._bootstrapper.make(recipe, target, on_log)
            return
        sources = target.with_name("sources.list")
        sources.write_text(recipe.source_lines())
        await run_mmdebstrap(recipe.command(target, sources), recipe, self._config.proxies, on_log)

    async def _begin(self, recipe: BaseRecipe) -> Path:
        """A directory for a new base. Whoever holds the suite's lock may remove what others left half made."""
        prefix = f"{recipe.suite}-{recipe.architecture}-"
        await remove_trees(self._half_made(prefix))
        unfinished = self._directory / half_made_name(f"{prefix}{recipe.digest()}")
        unfinished.mkdir(parents=True)
        return unfinished

    async def _complete(
        self, recipe: BaseRecipe, unfinished: Path, on_log: LogSink, *, like: Base | None = None
    ) -> Base:
        """Name the base after what is in it, and have it appear at once."""
        made_at_s = time.time()
        release = await asyncio.to_thread(listed_state, unfinished / "root")
        name = base_name(recipe, release, made_at_s)
        size_bytes = await asyncio.to_thread(tree_size_bytes, unfinished / "root")
        count, length_bytes = await asyncio.to_thread(tree_contents, unfinished / "root")
        base = Base(
            name=name,
            suite=recipe.suite,
            architecture=recipe.architecture,
            directory=self._directory / name,
            made_at_s=made_at_s,
            components=recipe.components,
            recipe=recipe.digest(),
            release=release,
            tree=like.tree if like else name,
            tree_made_at_s=like.tree_made_at_s if like else made_at_s,
            bootstrapped=recipe.bootstrapped,
            size_bytes=size_bytes,
            count=count,
            length_bytes=length_bytes,
            boot_id=boot_id(),
        )
        existing = next((other for other in self.all() if other.name == name), None)
        await remove_trees((unfinished,) if existing else (base.directory,))
        if existing is not None:
            return existing
        write_description(base, unfinished)
        await asyncio.to_thread(unfinished.rename, base.directory)
        how = f"shares the files of {like.tree}" if like else "was made from nothing"
        on_log(f"deb-mock: base {name} is ready; it {how}\n".encode())
        return base

    async def _remove_old_generations(self, recipe: BaseRecipe, newest: Base) -> None:
        others = [base for base in self._generations(recipe) if base.name != newest.name]
        keep = max(self._config.keep_generations, 1) - 1
        for base in others[: len(others) - keep]:
            await self.remove(base)

    def _half_made(self, prefix: str) -> list[Path]:
        return sorted(self._directory.glob(f"{HALF_MADE}{prefix}*"))

    def _lock(self, suite_and_architecture: str) -> Path:
        return self._directory / f"{suite_and_architecture}.lock"

    def _use_lock(self, name: str) -> Path:
        return self._directory / f"{name}.use"

    def _checked(self, recipe: BaseRecipe) -> Path:
        return self._directory / f"{recipe.suite}-{recipe.architecture}-{recipe.digest()}.release"
