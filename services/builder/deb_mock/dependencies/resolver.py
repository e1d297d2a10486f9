"""Build dependencies as cached layers.

apt says exactly which files it would install on the base for a .dsc; that list names a layer. A layer is made
once, in a sandbox whose changes are kept: downloads with the network, unpacking and maintainer scripts without. It
starts from the largest layer that holds a part of the list and nothing else.
What apt said is remembered for a set of relations, so that a second build does not ask again and no sandbox is
started; with extra repositories the state of their archives is part of the question.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from deb_mock.archives import apt_output
from deb_mock.archives.release import is_expired, read_releases, repository_urls, state_of
from deb_mock.archives.repositories import WORKSPACE, put_file
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.dependencies import cross
from deb_mock.dependencies.apt_get import (
    NO_PLUGINS,
    Answer,
    AptPlugins,
    AroundApt,
    DependencyApt,
    answer_of,
    installed_names,
    names_of,
)
from deb_mock.dependencies.question import Question
from deb_mock.dependencies.solver import AspcudSolver, exact_arguments
from deb_mock.engine_config import EngineConfig
from deb_mock.failures import FailureClass, failures_are
from deb_mock.layers.debs import DebCache
from deb_mock.layers.store import Answers, LayerContents, LayerStore
from deb_mock.model import Base, BuildRequest, ExtraRepository
from deb_mock.plans import relations
from deb_mock.sources.package import SourcePackage
from deb_mock.stages.steps import Steps
from deborch_shared.sandbox import record
from deborch_shared.sandbox.box import open_sandbox
from deborch_shared.sandbox.spec import Bind

_OFFERED = f"{WORKSPACE}/.cached-packages"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The layers to build on, nearest first, and whether they were there already."""

    layers: tuple[Path, ...]
    cache: Literal["hit", "miss"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """apt's answer, and the changes that asking made: lists of extra repositories, fresh lists of the suite."""

    answer: Answer
    arguments: tuple[str, ...]
    """Of apt-get, to do it."""
    changes: Path
    refreshed: bool
    key: str


@dataclass(frozen=True, slots=True)
class _Work:
    """What is asked for, and on what."""

    base: Base
    store: LayerStore
    question: Question
    steps: Steps
    around_apt: AroundApt
    foreign: tuple[Path, ...]
    """Below everything but the base: the index of another architecture, for a cross build."""


class _NotTheSameSetError(Exception):
    """Installing on a smaller layer led elsewhere than installing on the base would."""


class DependencyResolver:
    """Finds or makes the layer for a source package."""

    def __init__(self, config: EngineConfig, buildroots: Buildroots) -> None:
        self._config = config
        self._environment = {**apt_output.APT_ENVIRONMENT, **config.proxies}
        self.proxies = config.proxies
        self._buildroots = buildroots
        self._debs = DebCache(config.debs_dir, config.sandboxes_dir)
        self._aspcud = AspcudSolver(buildroots, self._environment)
        self._foreign = cross.ForeignIndices(buildroots, self._environment)

    @asynccontextmanager
    async def provided(
        self,
        base: Base,
        package: SourcePackage,
        request: BuildRequest,
        steps: Steps,
        plugins: AptPlugins = NO_PLUGINS,
    ) -> AsyncIterator[Dependencies]:
        """The layers with the build dependencies of `package`, which nobody removes meanwhile.

        Raises:
            DeborchError: DEPENDENCY_WAIT with `missing`, FETCH_FAILED, or CHROOT_FAILED if a package does not install.
        """
        question = Question(base, package.description, request, plugins.apt_settings)
        store = LayerStore(self._buildroots.layers_of(base))
        store.directory.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as held:
            foreign = await held.enter_async_context(self._foreign.layers(base, request, steps))
            work = _Work(base, store, question, steps, plugins.apt, foreign)
            found = await self._remembered(work, held) or await self._asked(work, held)
            yield replace(found, layers=(*found.layers, *foreign))

    async def _state_of(self, repositories: Sequence[ExtraRepository]) -> str | None:
        """The state that extra repositories are in, without a sandbox; None if only apt can tell."""
        if not repositories:
            return ""
        contents = await read_releases(repository_urls(repositories), self._config.sandboxes_dir, self._config.proxies)
        if contents is None or any(is_expired(content, datetime.now(UTC)) for content in contents):
            return None
        return state_of(contents)

    async def _remembered(self, work: _Work, held: AsyncExitStack) -> Dependencies | None:
        """What apt said before to the same question, if it need not be asked again."""
        state = await self._state_of(work.question.request.extra_sources)
        if state is None:
            return None
        layer = Answers(work.store.directory).get(work.question.key(work.base.name, state))
        if layer is None:
            return None
        chain = await held.enter_async_context(work.store.found(layer)) if layer else ()
        return None if chain is None else Dependencies(chain, "hit")

    async def _asked(self, work: _Work, held: AsyncExitStack) -> Dependencies:
        name = f"{work.question.request.build_id}-asked-{secrets.token_hex(4)}"
        changes = work.store.directory / f".{name}"
        async with record.owned(self._config.sandboxes_dir, name, [changes]):
            asked = await self._ask(work, changes)
            found = await self._find_or_make(work, asked, held)
        if not asked.refreshed:
            Answers(work.store.directory).put(asked.key, asked.answer.layer)
        return found

    async def _ask(self, work: _Work, changes: Path) -> _Asked:
        base, question, request = work.base, work.question, work.question.request
        upper = changes.with_name(f"{changes.name}.new")
        spec = self._buildroots.spec(
            f"{request.build_id}-ask", base, layers=work.foreign, upper=upper, repositories=request.extra_sources
        )
        with failures_are(FailureClass.CHROOT):
            async with open_sandbox(spec) as sandbox:
                apt = DependencyApt(sandbox, work.steps, self._environment, work.around_apt)
                put_file(sandbox, relations.NAME_INSIDE, question.dsc)
                state = await apt.add_repositories(request.extra_sources, base.root)
                answer, arguments = await self._answer(work, apt)
                answer = replace(answer, settings=question.dpkg_settings)
                sandbox.keep_changes_as(changes)
        return _Asked(answer, arguments, changes, apt.refreshed, question.key(base.name, state))

    async def _answer(self, work: _Work, apt: DependencyApt) -> tuple[Answer, tuple[str, ...]]:
        question = work.question
        if question.request.resolver == "apt":
            return await apt.resolve(question), question.arguments
        answer = answer_of(await self._aspcud.choose(question, work.foreign, work.steps))
        return answer, exact_arguments(answer)

    async def _find_or_make(self, work: _Work, asked: _Asked, held: AsyncExitStack) -> Dependencies:
        layer, steps = asked.answer.layer, work.steps
        if not layer:
            return Dependencies((), "hit")

        async def make(target: Path) -> LayerContents:
            return await self._make_from_largest(work, asked, target)

        waiting = "another build installs the same build dependencies; waiting for it"
        making = work.store.made_once(layer, make, on_wait=lambda: steps.say(waiting))
        found = await held.enter_async_context(making)
        return Dependencies(found.chain, "miss" if found.made else "hit")

    async def _make_from_largest(self, work: _Work, asked: _Asked, target: Path) -> LayerContents:
        start = None if asked.answer.removed else work.store.largest_subset(asked.answer.files, asked.answer.settings)
        async with work.store.found(start) if start else nullcontext() as below:
            if below is not None:
                try:
                    return await self._make(work, asked, below, target)
                except _NotTheSameSetError:
                    work.steps.say("a smaller layer led to other packages; installing on the base instead")
        return await self._make(work, asked, (), target)

    async def _make(self, work: _Work, asked: _Asked, below: tuple[Path, ...], target: Path) -> LayerContents:
        base, store, question = work.base, work.store, work.question
        request, answer = question.request, asked.answer
        if below:
            known = store.marker(below[0].name)
            work.steps.say(
                f"starting from a layer with {len(known.files) if known else 0} of {len(answer.files)} packages"
            )
        upper = store.directory / f".new-{request.build_id}-{secrets.token_hex(4)}"
        spec = self._buildroots.spec(
            f"{request.build_id}-deps",
            base,
            layers=(*below, asked.changes, *work.foreign),
            upper=upper,
            repositories=request.extra_sources,
        )
        async with self._debs.offered(answer.files) as offered:
            spec = replace(spec, binds=(*spec.binds, Bind(offered, _OFFERED)))
            with failures_are(FailureClass.CHROOT):
                async with open_sandbox(spec) as sandbox:
                    apt = DependencyApt(sandbox, work.steps, self._environment, work.around_apt)
                    put_file(sandbox, relations.NAME_INSIDE, question.dsc)
                    names = sorted(path.name for path in offered.iterdir())
                    await apt.have_archives(_OFFERED, names)
                    if len(names) < len(answer.files):
                        await apt.download(asked.arguments)
                        await self._debs.take_in(answer.files, upper / "var/cache/apt/archives")
                    await apt.install(asked.arguments)
                    if below:
                        await _check_the_set(apt, base, answer)
                    sandbox.keep_changes_as(target)
        return LayerContents(answer.files, tuple(path.name for path in below), settings=answer.settings)


async def _check_the_set(apt: DependencyApt, base: Base, answer: Answer) -> None:
    status = await asyncio.to_thread((base.root / "var/lib/dpkg/status").read_text)
    if await apt.installed() != installed_names(status) | names_of(answer.files):
        raise _NotTheSameSetError
