"""Orders become deb_mock's requests, and its results ours."""

import os
from pathlib import Path

import pytest

from deb_mock.model import Artifact, ArtifactKind, BuildRequest, BuildResult, FetchRequest, FetchResult, StageTime
from deb_mock.model import Stage as EngineStage
from deborch_builder.engine_port import BuildOrder, FetchOrder, Sample
from deborch_builder.mock_engine import MockEngine
from deborch_shared.contract.payloads import ArchiveAccess
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events.model import Stage
from deborch_shared.sandbox.usage import ResourceUse


class RecordingEngine:
    """deb_mock's port with nothing behind it."""

    def __init__(self) -> None:
        self.requests: list[BuildRequest | FetchRequest] = []
        self.closed = False

    async def build(self, request: BuildRequest, *, on_log, on_stage, on_sample) -> BuildResult:
        self.requests.append(request)
        on_log(b"building\n")
        on_stage(EngineStage.BUILD, 0.5)
        on_sample(EngineStage.BUILD, ResourceUse(cpu_user_s=1.0, cpu_system_s=0.5, memory_bytes=4096))
        deb = Artifact("x.deb", request.result_dir / "x.deb", "0" * 64, 1, ArtifactKind.DEB)
        return BuildResult("x", "1", (deb,), (StageTime(EngineStage.BUILD, 2.0, 1.0, USE),), "hit")

    async def fetch_source(self, request: FetchRequest, *, on_log) -> FetchResult:
        self.requests.append(request)
        return FetchResult("x", "1", request.result_dir / "x.dsc", (request.result_dir / "x.tar",))

    async def close(self) -> None:
        self.closed = True


USE = ResourceUse(memory_peak_bytes=8192, disk_bytes=512)


@pytest.fixture
def engine(tmp_path: Path) -> MockEngine:
    made = MockEngine(tmp_path, mirror=None, proxies={}, log_limit_bytes=5000, keep_free_bytes=9000)
    made._engine = RecordingEngine()
    return made


ARCHIVE = "Types: deb\nURIs: http://hub.test/archives/mine\nSuites: mine\nComponents: main\n"


def order_in(directory: Path, sources: str) -> BuildOrder:
    return BuildOrder(
        id="7-2",
        dsc=directory / "source" / "x.dsc",
        suite="bookworm",
        components=("main",),
        architecture="amd64",
        mode="any",
        repositories=(ArchiveAccess(name="mine", sources=sources),),
        result_dir=directory / "result",
        parallel=3,
        timeout_s=60,
    )


async def test_a_build_order_becomes_a_request(engine: MockEngine, tmp_path: Path) -> None:
    log: list[bytes] = []
    stages: list[str] = []
    samples: list[Sample] = []
    result = await engine.build(
        order_in(tmp_path, ARCHIVE), on_log=log.append, on_stage=stages.append, on_sample=samples.append
    )
    (request,) = engine._engine.requests
    assert (request.build_id, request.source_dir, request.mode) == ("7-2", tmp_path / "source", "any")
    assert [(one.name, one.deb822) for one in request.extra_sources] == [("mine", ARCHIVE)]
    assert (request.parallel, request.timeout_s, request.log_limit_bytes) == (3, 60, 5000)
    assert log == [b"building\n"]
    assert stages == ["build"]
    assert result.files == (tmp_path / "result" / "x.deb",)
    assert result.stages == (Stage(name="build", wall_s=2.0, cpu_s=1.0, memory_peak_bytes=8192, disk_bytes=512),)
    assert samples == [Sample(cpu_s=1.5, memory_bytes=4096)]


@pytest.mark.parametrize(
    "uris",
    [
        "file:/root",
        "http://hub.test/x file:/etc",
        "copy:/etc",
        "cdrom:/",
        "",
        "http://hub.test\nSuites: x\n\nURIs: file:/etc",
    ],
)
async def test_no_order_from_afar_has_a_directory_of_this_host_shown(
    engine: MockEngine, tmp_path: Path, uris: str
) -> None:
    sources = ARCHIVE.replace("http://hub.test/archives/mine", uris)
    with pytest.raises(DeborchError) as refused:
        await engine.build(order_in(tmp_path, sources), on_log=print, on_stage=print, on_sample=print)
    assert refused.value.code is ErrorCode.INVALID_INPUT
    assert engine._engine.requests == []


async def test_a_fetched_source_is_the_dsc_and_its_files(engine: MockEngine, tmp_path: Path) -> None:
    order = FetchOrder("7-1", "x", None, "bookworm", ("main",), "amd64", tmp_path)
    result = await engine.fetch_source(order, on_log=print)
    assert result.files == (tmp_path / "x.dsc", tmp_path / "x.tar")


async def test_without_root_the_engine_says_so_at_start(engine: MockEngine, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DeborchError) as refused:
        await engine.recover()
    assert refused.value.code is ErrorCode.NEEDS_ROOT


async def test_closing_reaches_the_engine(engine: MockEngine) -> None:
    await engine.close()
    assert engine._engine.closed
