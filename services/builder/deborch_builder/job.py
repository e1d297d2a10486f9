"""One attempt as its kind of task sees it: what to do, where, with what."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from deborch_builder.attempt_key import key_of
from deborch_builder.engine_port import BuildEngine, Sample
from deborch_shared.clock import Clock
from deborch_shared.events.model import AssignTask, Progress, Stage
from deborch_shared.worker.transfers import Transfers

PayloadT = TypeVar("PayloadT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt of this daemon uses."""

    engine: BuildEngine
    transfers: Transfers
    clock: Clock


@dataclass(slots=True)
class Job:
    """`stage` is what runs now, for heartbeats; `stages` is what has run, for the report."""

    assignment: AssignTask
    directory: Path
    tools: Tools
    write_log: Callable[[bytes], None]
    stage: str = ""
    stages: list[Stage] = field(default_factory=list)
    log_size_bytes: Callable[[], int] = lambda: 0
    _entered_s: float = field(default_factory=time.monotonic)
    _sample: Sample = field(default_factory=Sample)

    def payload(self, model: type[PayloadT]) -> PayloadT:
        """What the assignment carries; one that is not understood was refused before it came to be a job."""
        return model.model_validate(self.assignment.payload)

    @property
    def name(self) -> str:
        """Unique among all attempts of this host."""
        return str(key_of(self.assignment))

    def make_directory(self, name: str) -> Path:
        """A fresh directory that is removed when the attempt ends."""
        directory = self.directory / name
        directory.mkdir(mode=0o755, parents=True)
        return directory

    def enter(self, stage: str) -> None:
        self.stage, self._entered_s, self._sample = stage, time.monotonic(), Sample()

    def sampled(self, sample: Sample) -> None:
        self._sample = sample

    def progress(self) -> Progress | None:
        """What the stage has used up to now; None before there is one."""
        if not self.stage:
            return None
        return Progress(
            stage_s=time.monotonic() - self._entered_s,
            cpu_s=self._sample.cpu_s,
            memory_bytes=self._sample.memory_bytes,
            log_bytes=self.log_size_bytes(),
        )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Run the block as a stage of its own."""
        self.enter(stage)
        began_s = time.monotonic()
        yield
        self.stages.append(Stage(name=stage, wall_s=time.monotonic() - began_s))
