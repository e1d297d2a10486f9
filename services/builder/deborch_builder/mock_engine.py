"""The one place that knows deb_mock: our orders as its requests, its results as ours."""

import os
from collections.abc import Mapping
from pathlib import Path

from deb_mock.defaults import default_tmpfs_bytes
from deb_mock.engine import Engine
from deb_mock.model import ArtifactKind, BuildRequest, EngineConfig, ExtraRepository, FetchRequest
from deb_mock.model import Stage as EngineStage
from deb_mock.repositories import repository_uris
from deborch_builder.engine_port import BuildOrder, EngineResult, FetchOrder, LogSink, StageSink
from deborch_shared.contract.payloads import ArchiveAccess
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.events.model import Stage

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
    ) -> None:
        self._engine = Engine(
            EngineConfig(
                state_dir=directory / "state",
                cache_dir=cache_dir or directory / "cache",
                mirror=mirror,
                tmpfs_bytes=default_tmpfs_bytes(),
                proxies=proxies,
            )
        )
        self._log_limit_bytes = log_limit_bytes

    async def recover(self) -> None:
        if os.geteuid() != 0:
            raise DeborchError(
                ErrorCode.NEEDS_ROOT,
                "making buildroots needs root: namespaces, overlay mounts and files of many owners",
                hint="run deborch-builder as root",
            )
        await self._engine.recover()

    async def build(self, order: BuildOrder, *, on_log: LogSink, on_stage: StageSink) -> EngineResult:
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

        result = await self._engine.build(request, on_log=on_log, on_stage=entered)
        stages = tuple(Stage(name=one.stage.value, wall_s=one.wall_s, cpu_s=one.cpu_s) for one in result.stages)
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

    async def close(self) -> None:
        await self._engine.close()


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
