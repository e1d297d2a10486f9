"""The one place that knows deb_mock: our orders as its requests, its results as ours."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from deb_mock.archives.repositories import repository_uris
from deb_mock.doctor.filesystems import mapped_ids
from deb_mock.doctor.finding import Check, Status, Subject
from deb_mock.doctor.kernel import control_groups, seccomp
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.host.defaults import default_tmpfs_bytes
from deb_mock.model import ArtifactKind, BuildRequest, ExtraRepository, FetchRequest, StageTime
from deb_mock.model import Stage as EngineStage
from deborch_builder.engine_port import (
    BuildOrder,
    EngineResult,
    Environment,
    FetchOrder,
    LogSink,
    Sample,
    SampleSink,
    StageSink,
)
from deborch_shared.contract.payloads import ArchiveAccess
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.events.model import Stage
from deborch_shared.sandbox.usage import ResourceUse

_log = logging.getLogger(__name__)
_FEATURES: Mapping[str, Check] = MappingProxyType({"cgroups": control_groups, "seccomp": seccomp, "userns": mapped_ids})
"""Tags, and the check that must find all in order for a host to have it."""
_WANTED = frozenset(ArtifactKind) - {ArtifactKind.REPORT}
"""What the hub has a kind for."""


class MockEngine:
    """`BuildEngine` by deb_mock."""

    def __init__(
        self,
        directory: Path,
        *,
        cache_dir: Path | None = None,
        mirror: str | None,
        proxies: Mapping[str, str],
        log_limit_bytes: int,
        keep_free_bytes: int,
    ) -> None:
        self._config = EngineConfig(
            state_dir=directory / "state",
            cache_dir=cache_dir or directory / "cache",
            mirror=mirror,
            tmpfs_bytes=default_tmpfs_bytes(),
            proxies=proxies,
            free_space_floor_bytes=keep_free_bytes,
        )
        self._engine = Engine(self._config)
        self._log_limit_bytes = log_limit_bytes

    async def recover(self) -> None:
        if os.geteuid() != 0:
            raise DeborchError(
                ErrorCode.NEEDS_ROOT,
                "making buildroots needs root: namespaces, overlay mounts and files of many owners",
                hint="run deborch-builder as root",
            )
        await self._engine.recover()

    async def build(
        self, order: BuildOrder, *, on_log: LogSink, on_stage: StageSink, on_sample: SampleSink
    ) -> EngineResult:
        request = BuildRequest(
            build_id=order.id,
            dsc=order.dsc,
            source_dir=order.dsc.parent,
            suite=order.suite,
            architecture=order.architecture,
            components=order.components,
            result_dir=order.result_dir,
            mode=order.mode,
            extra_sources=tuple(_remote(one) for one in order.repositories),
            parallel=order.parallel,
            timeout_s=order.timeout_s,
            log_limit_bytes=self._log_limit_bytes,
        )

        def entered(stage: EngineStage, _: float) -> None:
            on_stage(stage.value)

        def sampled(_: EngineStage, use: ResourceUse) -> None:
            on_sample(Sample(cpu_s=use.cpu_s or 0.0, memory_bytes=use.memory_bytes or 0))

        result = await self._engine.build(request, on_log=on_log, on_stage=entered, on_sample=sampled)
        stages = tuple(_stage(one) for one in result.stages)
        return EngineResult(tuple(each.path for each in result.artifacts if each.kind in _WANTED), stages)

    async def fetch_source(self, order: FetchOrder, *, on_log: LogSink) -> EngineResult:
        request = FetchRequest(
            fetch_id=order.id,
            name=order.name,
            version=order.version,
            suite=order.suite,
            architecture=order.architecture,
            components=order.components,
            result_dir=order.result_dir,
        )
        result = await self._engine.fetch_source(request, on_log=on_log)
        return EngineResult((result.dsc, *result.files))

    async def prepare(self, environment: Environment) -> None:
        await self._engine.ensure_base(
            environment.suite, environment.architecture, components=environment.components, on_log=_said
        )

    async def collect_garbage(self) -> None:
        for removed in await self._engine.collect_garbage():
            _log.info("%s %s is removed from the cache: %s", removed.kind, removed.name, removed.why)

    async def offers(self) -> Sequence[str]:
        environments = {f"env:{base.suite}" for base in self._engine.bases()}
        return sorted(environments | self._features())

    def _features(self) -> set[str]:
        """What the doctor finds in order here. In this thread: it forks, and no other must hold a lock meanwhile."""
        if os.geteuid() != 0:
            return set()
        subject = Subject(self._config, suite="")
        return {tag for tag, check in _FEATURES.items() if check(subject).status is Status.OK}

    async def close(self) -> None:
        await self._engine.close()


def _stage(time: StageTime) -> Stage:
    return Stage(
        name=time.stage.value,
        wall_s=time.wall_s,
        cpu_s=time.cpu_s,
        memory_peak_bytes=time.use.memory_peak_bytes,
        disk_bytes=time.use.disk_bytes,
    )


def _said(chunk: bytes) -> None:
    _log.debug("%s", bounded(chunk).rstrip())


def _remote(archive: ArchiveAccess) -> ExtraRepository:
    """An archive of the hub's. It comes over the network: who sends it must not get to see directories of this host.

    Raises:
        DeborchError: INVALID_INPUT for any other address than http(s).
    """
    repository = ExtraRepository(archive.name, archive.sources)
    if not all(uri.startswith(("http://", "https://")) for uri in repository_uris(repository)):
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            f"the archive {bounded(archive.name, 80)!r} is not at an http(s) address",
            hint="set DEBORCH_HUB_PUBLIC_URL of the hub to the address that builders reach it by",
        )
    return repository
