"""What phases of deb_bootc_compose ask a hub for, at its ports: builds, and the archives of targets."""

from pathlib import Path

from deb_bootc_compose.archives.reading import reading_of
from deb_bootc_compose.build.port import BuildOrder
from deb_bootc_compose.build.sources import identified
from deb_bootc_compose.digests import JsonObject
from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.phases.progress import Progress
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.treefile.packages import Repository
from deborch_composer.hub_builds import HubBuilds, Wish
from deborch_composer.hub_targets import HubTargets
from deborch_shared.errors import ErrorCode
from deborch_shared.sources import parse_dsc


class EngineTargets:
    """`Targets` of the engine."""

    def __init__(self, targets: HubTargets) -> None:
        self._targets = targets

    async def repository(self, target: str) -> Repository:
        found = await self._targets.archive(target)
        return Repository(
            name=target, uris=found.uris, suites=found.suites, components=found.components, signed_by=found.key
        )


class EngineBuilds:
    """`Builds` of the engine."""

    def __init__(self, builds: HubBuilds, targets: HubTargets, state: State) -> None:
        self._builds = builds
        self._targets = targets
        self._state = state

    async def identify(self, order: BuildOrder) -> JsonObject:
        """The .dsc of each source by its digest, and who builds it."""
        if order.treefile.build.lagging:
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                "build: lagging is not offered by this hub",
                hint="list the sources",
            )
        for target in _targets_of(order):
            await self._fits(order, target)
        reading = await reading_of(order.treefile.model_copy(update={"repositories": ()}), None)
        found = await identified(tuple(order.sources), order.treefile.directory, reading, self._state)
        return {"sources": found, "targets": _targets_of(order)}

    async def build(self, order: BuildOrder, results: Path, progress: Progress) -> None:
        """One build of the hub for each source: .dsc files first, else in the order of the treefile."""
        sources = (await self.identify(order))["sources"]
        wishes = [_wish(order, target, source) for target, source in zip(_targets_of(order), sources, strict=True)]
        timeout_s = order.treefile.build.timeout_s * len(wishes)
        await self._builds.build(
            wishes, order.architecture, order.compose_id, results, progress.step, timeout_s=timeout_s
        )

    async def _fits(self, order: BuildOrder, name: str) -> None:
        target = await self._targets.target(name)
        if target.suite != order.treefile.suite:
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                f"the target {name} builds for {target.suite}, the tree is of {order.treefile.suite}",
                hint="name a target of that suite in `build: target`; `deborch target list` shows them",
            )
        if order.architecture not in target.architectures:
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                f"the target {name} builds for {', '.join(target.architectures)}, not for {order.architecture}",
                hint="name another target in `build: target`",
            )


def _targets_of(order: BuildOrder) -> list[str]:
    """Of each source, in the order of `identified`: .dsc files first."""
    sources = sorted(order.sources, key=lambda source: not source.source.endswith(".dsc"))
    targets = [source.target or order.treefile.build.target for source in sources]
    if any(target is None for target in targets):
        raise failure(
            FailureClass.TREEFILE,
            ErrorCode.INVALID_INPUT,
            "the hub builds for a target, and the treefile names none for its sources",
            hint="set build: {target: NAME}, or for the samples --variable target=NAME",
        )
    return [str(target) for target in targets]


def _wish(order: BuildOrder, target: str, source: str) -> Wish:
    if source.endswith(".dsc"):
        path = order.treefile.directory / source
        described = parse_dsc(path.read_bytes(), file_name=path.name)
        return Wish(target, described.name, described.version, dsc=path)
    name, _, version = source.partition("=")
    return Wish(target, name, version or None)
