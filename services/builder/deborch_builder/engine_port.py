"""What the daemon asks of a build engine, so that tests run it with a fake and deb_mock stays behind one adapter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deborch_shared.contract.payloads import ArchiveAccess, BuildMode
from deborch_shared.events.model import Stage

LogSink = Callable[[bytes], None]
StageSink = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a build has used in the stage that it is in: processor time, and memory now. 0: not counted here."""

    cpu_s: float = 0.0
    memory_bytes: int = 0


SampleSink = Callable[[Sample], None]
"""Called about once a second while a stage runs commands."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a base is made for."""

    suite: str
    components: tuple[str, ...]
    architecture: str


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """One source package for one architecture. `dsc` and its files lie in one directory."""

    id: str
    dsc: Path
    suite: str
    components: tuple[str, ...]
    architecture: str
    mode: BuildMode
    repositories: tuple[ArchiveAccess, ...]
    """What the buildroot reads beside the suite."""
    result_dir: Path
    parallel: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class FetchOrder:
    """A source package of the suite; no version: the newest there."""

    id: str
    name: str
    version: str | None
    suite: str
    components: tuple[str, ...]
    architecture: str
    result_dir: Path


@dataclass(frozen=True, slots=True)
class EngineResult:
    """The files that were made, all in the order's `result_dir`, and how long each stage took."""

    files: tuple[Path, ...]
    stages: tuple[Stage, ...] = ()


class BuildEngine(Protocol):
    """Each call ends its work within a second when it is cancelled, and leaves nothing mounted or running.

    A failure is a DeborchError whose field `failure_class` says of what kind; `dep-wait` has a field `missing`.
    """

    async def recover(self) -> None:
        """Clean up what an earlier process left. Raises if the engine is not usable here."""

    async def build(
        self, order: BuildOrder, *, on_log: LogSink, on_stage: StageSink, on_sample: SampleSink
    ) -> EngineResult: ...

    async def fetch_source(self, order: FetchOrder, *, on_log: LogSink) -> EngineResult: ...

    async def prepare(self, environment: Environment) -> None:
        """Have the base ready from which buildroots of `environment` are made; next to nothing if it is."""

    async def collect_garbage(self) -> None:
        """Remove from the caches what is beyond their limits and not in use."""

    async def offers(self) -> Sequence[str]:
        """Tags for what it has ready and what this host lets it do, such as `env:bookworm` and `cgroups`."""

    async def close(self) -> None: ...
