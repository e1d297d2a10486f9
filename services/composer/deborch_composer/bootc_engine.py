"""The one place that knows deb_bootc_compose: our orders as its requests, its events and results as ours."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from deb_bootc_compose.archives.archive import TARGETS
from deb_bootc_compose.build.port import BUILDS
from deb_bootc_compose.cli.engines import collectors_of, engine_of
from deb_bootc_compose.commits.repository import OstreeRepository
from deb_bootc_compose.engine import ComposeResult, Engine
from deb_bootc_compose.outputs.registry.skopeo import version_tag
from deb_bootc_compose.phases.api import Target
from deb_bootc_compose.phases.facts import OstreeFacts, RegistryFacts
from deb_bootc_compose.phases.initialise import require_root
from deb_bootc_compose.phases.request import ComposeRequest, ComposeStatus
from deb_bootc_compose.state.garbage import Garbage, Limits
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.absent import AbsentTools
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.tools.roots import Voice
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_composer.commit_objects import CommitObjects, brought
from deborch_composer.confinement import confine
from deborch_composer.engine_observer import EngineObserver
from deborch_composer.engine_port import EngineOrder, Made, MadeFile, Watch
from deborch_composer.engine_services import EngineBuilds, EngineTargets
from deborch_composer.failures import failure_class_of, message_of
from deborch_composer.hub_builds import HubBuilds
from deborch_composer.hub_targets import HubTargets
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.composes import ComposeCommit, ComposeImage

_log = logging.getLogger(__name__)
_OUTCOMES: Mapping[ComposeStatus, str] = MappingProxyType(
    {ComposeStatus.FINISHED: "finished", ComposeStatus.FINISHED_INCOMPLETE: "finished_incomplete"}
)
_GO_ON = frozenset({ComposeStatus.STARTED, ComposeStatus.DOOMED, ComposeStatus.TERMINATED})
"""Of an earlier attempt that can be resumed."""
_CANNOT_GO_ON = frozenset({ErrorCode.PRECONDITION_FAILED, ErrorCode.INVALID_INPUT, ErrorCode.NOT_FOUND})
_OUTPUT = "output."
_METADATA = "metadata"


def engine_for_hub(state_dir: Path, builds: HubBuilds, targets: HubTargets, builder_id: str) -> Engine:
    """The engine as it works alone, but for builds and archives of targets, which are the hub's."""
    alone = engine_of(state_dir)
    services = {
        BUILDS: EngineBuilds(builds, targets, alone.state),
        TARGETS: EngineTargets(targets),
        "builder_id": builder_id,
    }
    return replace(alone, services=services)


class BootcEngine:
    """`ComposeEngine` by deb_bootc_compose, which promotes nothing: that is the hub's."""

    def __init__(self, engine: Engine, *, workers: int, allowed: Sequence[Path] = ()) -> None:
        self._workers = workers
        self._allowed = allowed
        self._engine = engine
        self._treefiles: dict[str, ResolvedTreefile] = {}
        """Of the commits that were made here, until they are uploaded."""

    @property
    def state(self) -> State:
        return self._engine.state

    async def recover(self) -> None:
        require_root()

    async def follow(self, refs: Mapping[str, str]) -> None:
        """As far as the commits are here; a commit that another composer made is followed from its ref on."""
        directory = self.state.published_repository
        if not (directory / "config").is_file():
            return
        known: dict[str, str] = {}
        for ref, commit in refs.items():
            if not await OstreeRepository(directory, AbsentTools()).has_commit(commit):
                _log.info("the commit %s of %s is not here: the next one does not follow it", commit[:12], ref)
            elif await OstreeRepository(directory, AbsentTools()).resolve(ref) != commit:
                known[ref] = commit
        if known:
            repository = OstreeRepository(directory, await self._tools())
            for ref, commit in known.items():
                await repository.set_ref(ref, commit)

    async def compose(self, order: EngineOrder, watch: Watch) -> Made:
        request, observer = self._request(order), EngineObserver(watch)
        treefiles = await asyncio.to_thread(self._engine.resolve, request)
        for treefile in treefiles.values():
            confine(treefile, order.tree, self._allowed)
        result = await self._resumed(request, observer)
        if result is None:
            result = await self._engine.compose(request, observer)
        return await asyncio.to_thread(self._made, result, treefiles)

    async def _resumed(self, request: ComposeRequest, observer: EngineObserver) -> ComposeResult | None:
        """The end of what an earlier attempt has begun; None if there is nothing to go on with.

        A hub that was made anew numbers from 1 again: what is found must be what is asked for.
        """
        found = await asyncio.to_thread(self._engine.find, str(request.reference))
        if found is None or found.status not in _GO_ON or found.is_running:
            return None
        if (found.description or {}).get("request") != request.model_dump(mode="json"):
            return None
        try:
            return await self._engine.resume(found.compose_id, observer, workers=self._workers)
        except DeborchError as error:
            if error.code not in _CANNOT_GO_ON:
                raise
            _log.warning("compose %s begins anew: %s", request.reference, error)
            return None

    def _request(self, order: EngineOrder) -> ComposeRequest:
        wanted = order.order
        return ComposeRequest.model_validate(
            wanted.model_dump(exclude={"files", "treefile", "lockfile"})
            | {
                "treefile": order.tree / wanted.treefile,
                "lockfile": order.tree / wanted.lockfile if wanted.lockfile else None,
                "workers": self._workers,
                "promote": False,
                "reference": order.reference,
            }
        )

    def _made(self, result: ComposeResult, treefiles: Mapping[Target, ResolvedTreefile]) -> Made:
        if result.status not in _OUTCOMES:
            error = next(iter(result.errors), None)
            return Made(
                "failed",
                seconds=result.seconds,
                failure_class=failure_class_of(error) if error else "internal",
                message=message_of(error) if error else "the compose was not finished",
            )
        return Made(
            "finished" if result.status is ComposeStatus.FINISHED else "finished_incomplete",
            seconds=result.seconds,
            message="; ".join(message_of(error) for error in result.errors),
            files=tuple(self._files(result)),
            commits=tuple(self._commits(result, treefiles)),
            images=tuple(_images(result, treefiles)),
        )

    def _files(self, result: ComposeResult) -> list[MadeFile]:
        """Everything in the tree of the compose; what phases say about files names their kinds."""
        kinds: dict[str, str] = {}
        for outcome in result.outcomes:
            if outcome.result is not None and outcome.phase.startswith(_OUTPUT):
                place = f"{outcome.target.variant}/{outcome.target.architecture}/" if outcome.target else ""
                delivered = self._engine.phases[outcome.phase].deliverables(outcome.result)
                kinds |= {f"{place}{one}": outcome.phase.removeprefix(_OUTPUT) for one in delivered}
        targets = {
            f"{one.target.variant}/{one.target.architecture}": one.target for one in result.outcomes if one.target
        }
        found: list[MadeFile] = []
        for path in sorted(result.directory.tree.rglob("*")):
            if path.is_file() and not path.is_symlink():
                name = path.relative_to(result.directory.tree)
                target = targets.get("/".join(name.parts[:2]))
                variant, architecture = (target.variant, target.architecture) if target else ("", "")
                kind = kinds.get(str(name), _METADATA)
                found.append(MadeFile(str(name), path, kind, variant, architecture))
        return found

    def _commits(self, result: ComposeResult, treefiles: Mapping[Target, ResolvedTreefile]) -> list[ComposeCommit]:
        found: list[ComposeCommit] = []
        for outcome in result.outcomes:
            if outcome.phase == "ostree" and outcome.result is not None and outcome.target is not None:
                facts = OstreeFacts.model_validate(outcome.result.facts)
                self._treefiles[facts.commit] = treefiles[outcome.target]
                found.append(
                    ComposeCommit(
                        ref=facts.ref,
                        commit=facts.commit,
                        variant=outcome.target.variant,
                        architecture=outcome.target.architecture,
                        version=facts.version,
                    )
                )
        return found

    @asynccontextmanager
    async def objects_of(self, commits: Sequence[ComposeCommit]) -> AsyncIterator[CommitObjects]:
        tools = await self._tools()
        for commit in commits:
            await brought(commit.commit, self.state, tools, self._treefiles[commit.commit].ostree)
        objects = CommitObjects(OstreeRepository(self.state.published_repository, tools))
        await objects.add([commit.commit for commit in commits])
        yield objects
        for commit in commits:
            self._treefiles.pop(commit.commit, None)

    async def _tools(self) -> Tools:
        return await self._engine.open_tools(self.state, Voice())

    async def collect_garbage(self) -> None:
        for removed in await Garbage(self.state, Limits()).collect(collectors_of(self.state)):
            _log.info("%s %s is removed: %s", removed.kind, removed.name, removed.why)

    async def close(self) -> None:
        """Nothing stays open."""


def _images(result: ComposeResult, treefiles: Mapping[Target, ResolvedTreefile]) -> list[ComposeImage]:
    """What was pushed; tags are wanted for the image of a variant that has one architecture."""
    versions = {
        one.target: OstreeFacts.model_validate(one.result.facts).version
        for one in result.outcomes
        if one.phase == "ostree" and one.result is not None and one.target is not None
    }
    pushed = {
        one.target: RegistryFacts.model_validate(one.result.facts)
        for one in result.outcomes
        if one.phase == "output.registry" and one.result is not None and one.target is not None
    }
    found: list[ComposeImage] = []
    for target, facts in pushed.items():
        alone = sum(other.variant == target.variant for other in pushed) == 1
        tags = (version_tag(versions[target]), *treefiles[target].oci.tags) if alone else ()
        found.append(
            ComposeImage(image=facts.repository, digest=facts.manifest_digest, tags=tags, variant=target.variant)
        )
    return found
