"""The stages of one build: their times, and the log that all commands write to, bounded and in sections."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from deb_mock.failures import FailureClass, failure
from deb_mock.host.disk_space import DiskSpace
from deb_mock.model import LogSink, SampleSink, Stage, StageSink, StageTime
from deb_mock.stages import log_sections
from deb_mock.stages.limits import over_limit
from deb_mock.stages.log_sections import Section
from deb_mock.stages.watch import Watch
from deborch_shared.apt.redaction import redacted
from deborch_shared.errors import ErrorCode
from deborch_shared.process import ProcessResult
from deborch_shared.sandbox.box import Sandbox
from deborch_shared.sandbox.usage import ResourceUse

_NO_LIMIT = 1 << 62


class Steps:
    """Runs commands of one build and keeps account of them."""

    def __init__(
        self,
        on_log: LogSink,
        on_stage: StageSink | None,
        log_limit_bytes: int = _NO_LIMIT,
        *,
        log_idle_s: float | None = None,
        on_sample: SampleSink | None = None,
    ) -> None:
        self._on_log = on_log
        self._on_stage = on_stage
        self._on_sample = on_sample
        self._log_limit_bytes = log_limit_bytes
        self._log_idle_s = log_idle_s
        self._logged_bytes = 0
        self._sections: list[tuple[str, int]] = []
        self._started_s = time.monotonic()
        self._stage: Stage | None = None
        self._use = ResourceUse()
        self._cpu_s = 0.0
        self.times: list[StageTime] = []
        self.failed_in: Stage | None = None
        """The stage that an error, or a cancel, ended."""

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Everything within belongs to `stage`, and is a section of the log."""
        begun_s = time.monotonic()
        self._stage, self._use, self._cpu_s = stage, ResourceUse(), 0.0
        if self._on_stage is not None:
            self._on_stage(stage, begun_s - self._started_s)
        self.section(log_sections.title_of(stage))
        try:
            yield
        except BaseException:
            self.failed_in = self.failed_in or stage
            raise
        finally:
            self.times.append(StageTime(stage, time.monotonic() - begun_s, self._cpu_s, self._use))

    def took_space(self, size_bytes: int) -> None:
        """What the files of the buildroot take at the end of this stage."""
        self._use = replace(self._use, disk_bytes=size_bytes)

    def section(self, title: str) -> None:
        """Begin a section of the log."""
        self._sections.append((title, self._logged_bytes))
        self._write(log_sections.heading(title))

    @property
    def sections(self) -> list[Section]:
        """Where each section of the log is. A build cannot change this, whatever it writes."""
        ends = [offset for _, offset in self._sections[1:]] + [self._logged_bytes]
        return [Section(title, start, end - start) for (title, start), end in zip(self._sections, ends, strict=True)]

    def log(self, chunk: bytes) -> None:
        """Pass `chunk` on.

        Raises:
            DeborchError: BUILD_FAILED of class log-limit once there is too much.
        """
        self._write(chunk)
        if self._logged_bytes > self._log_limit_bytes:
            raise failure(
                FailureClass.LOG_LIMIT,
                ErrorCode.BUILD_FAILED,
                f"the build wrote more than {self._log_limit_bytes} bytes of log and was ended",
                hint="find out what repeats itself at the end of the log, or raise limits.log_size",
            )

    def say(self, line: str) -> None:
        """A line of our own in the log."""
        self.log(f"deb-mock: {line}\n".encode())

    def note(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Facts of our own in the log, as `Name: value`; not bounded, so that a build that wrote too much has them."""
        self._write(log_sections.facts(pairs))

    def head(self, left: str, right: str) -> None:
        """The box at the start of the log."""
        self._write(log_sections.head(left, right))

    def _write(self, chunk: bytes) -> None:
        self._logged_bytes += len(chunk)
        self._on_log(chunk)

    async def run(
        self,
        sandbox: Sandbox,
        argv: Sequence[str],
        *,
        uid: int = 0,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
        quiet: bool = False,
        check: bool = True,
    ) -> ProcessResult:
        """Run `argv` in `sandbox`, its output into the log unless `quiet`.

        Raises:
            DeborchError: BUILD_FAILED of class killed-oom, killed-limit, log-idle or log-limit, also without `check`;
                with it PROCESS_FAILED for an exit code that is not 0.
        """
        if not quiet:
            self.log(f"$ {redacted(' '.join(argv))}\n".encode())
        with sandbox.meter() as meter:
            watch = Watch(
                argv[0],
                meter,
                sandbox.limits,
                space=(lambda: DiskSpace.of(sandbox.workspace_fd)) if sandbox.scratch_bytes is None else None,
                idle_s=None if quiet else self._log_idle_s,
                on_sample=self._sampled if self._on_sample is not None else None,
            )

            def on_output(chunk: bytes) -> None:
                watch.heard()
                self.log(chunk)

            try:
                async with watch.over():
                    result = await sandbox.run(
                        argv,
                        uid=uid,
                        cwd=cwd,
                        env=env,
                        network=network,
                        on_output=None if quiet else on_output,
                        max_output_bytes=_NO_LIMIT,
                        check=False,
                    )
            finally:
                use = meter.read()
                self._use = self._use.then(use)
                self._cpu_s += use.cpu_s or 0.0
        self._cpu_s += result.cpu_s if use.cpu_s is None else 0.0
        if result.returncode != 0:
            limited = over_limit(argv[0], use, sandbox.limits)
            if limited is not None:
                raise limited
            if check:
                raise result.failure([redacted(word) for word in argv])
        return result

    def _sampled(self, use: ResourceUse) -> None:
        if self._on_sample is not None and self._stage is not None:
            self._on_sample(self._stage, self._use.then(use))
