"""The attempts that run on this host: each is started once, worked on, and reported or ended without a word."""

import asyncio
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from prometheus_client import Counter, Gauge

from deborch_builder.attempt_key import AttemptKey, key_of
from deborch_builder.failures import failure_class_of, message_of, missing_of
from deborch_builder.hub import Hub
from deborch_builder.job import Job, Tools
from deborch_builder.journal import Journal
from deborch_builder.kinds import KINDS
from deborch_builder.reporter import Reporter
from deborch_shared.events.model import AssignTask, BuildDone, Resources, RunningTask, TaskStarted
from deborch_shared.worker.shipped_log import ShippedLog

_log = logging.getLogger(__name__)
_ended = Counter("deborch_builder_attempts_total", "Attempts that ended here", ["kind", "outcome"])
_running = Gauge("deborch_builder_running_attempts", "Attempts that run here")


class Ending(StrEnum):
    """Why an attempt is stopped before its end."""

    CANCELED = "canceled"
    """The hub said so; it wants no report."""
    STALE = "stale"
    """The hub has given the task to another attempt; a report would change nothing."""
    SHUTDOWN = "shutdown"
    """This daemon leaves; the hub is told so, to give the task to another host at once."""


@dataclass(slots=True)
class _Attempt:
    job: Job
    task: "asyncio.Task[None] | None" = None
    ending: Ending | None = None


class Attempts:
    """Starts, counts and stops attempts while `run` runs."""

    def __init__(
        self, *, host: str, work_dir: Path, tools: Tools, hub: Hub, journal: Journal, reporter: Reporter
    ) -> None:
        self._host = host
        self._work_dir = work_dir
        self._tools = tools
        self._hub = hub
        self._journal = journal
        self._reporter = reporter
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[AttemptKey, _Attempt] = {}
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._some = asyncio.Event()

    def __contains__(self, key: AttemptKey) -> bool:
        return key in self._running

    def __len__(self) -> int:
        return len(self._running)

    def in_use(self) -> Iterable[Resources]:
        """What the running attempts have been promised."""
        return [attempt.job.assignment.resources for attempt in self._running.values()]

    def suites(self) -> set[object]:
        """What the running attempts build for."""
        return {attempt.job.assignment.payload.get("suite") for attempt in self._running.values()}

    async def wait_idle(self) -> None:
        """Return while no attempt runs."""
        await self._none_left.wait()

    async def wait_busy(self) -> None:
        """Return while one does."""
        await self._some.wait()

    def for_heartbeat(self) -> tuple[RunningTask, ...]:
        return tuple(
            RunningTask(
                task_id=key.task_id,
                attempt=key.attempt,
                stage=attempt.job.stage,
                progress=attempt.job.progress(),
            )
            for key, attempt in self._running.items()
        )

    async def run(self) -> None:
        """Hold the attempts until cancelled. Those still there then stay in the journal for the next start."""
        async with asyncio.TaskGroup() as self._group:
            await asyncio.Event().wait()

    def start(self, assignment: AssignTask) -> None:
        """Begin an attempt that is in the journal."""
        if self._group is None:
            raise RuntimeError("attempts are started while `run` runs")
        key = key_of(assignment)
        job = Job(assignment, self._work_dir / str(key), self._tools, write_log=_nowhere)
        attempt = self._running[key] = _Attempt(job)
        self._none_left.clear()
        self._some.set()
        _running.set(len(self._running))
        attempt.task = self._group.create_task(self._attempt(key, attempt), name=f"attempt {key}")

    def end(self, key: AttemptKey, ending: Ending) -> bool:
        """Stop the attempt if it runs; the first reason given counts."""
        attempt = self._running.get(key)
        if attempt is None or attempt.task is None:
            return False
        if attempt.ending is None:
            attempt.ending = ending
            # Not now: a task that is cancelled before its first step never runs, so that nobody would clean up.
            asyncio.get_running_loop().call_soon(attempt.task.cancel)
        return True

    async def drain(self, timeout_s: float) -> None:
        """Let the running attempts end; stop those that take longer, and report them."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._none_left.wait()
        except TimeoutError:
            _log.warning("%d attempts did not end within %.0f s and are given back", len(self), timeout_s)
            for key in list(self._running):
                self.end(key, Ending.SHUTDOWN)
            await self._none_left.wait()

    async def _attempt(self, key: AttemptKey, attempt: _Attempt) -> None:
        outcome = "interrupted"
        try:
            outcome = await self._ended(key, attempt)
            await self._clean_up(key, attempt.job)
        finally:
            _ended.labels(attempt.job.assignment.kind, outcome).inc()
            del self._running[key]
            _running.set(len(self._running))
            if not self._running:
                self._none_left.set()
                self._some.clear()

    async def _ended(self, key: AttemptKey, attempt: _Attempt) -> str:
        """Work to the end, report it if the hub wants to know, and name the outcome."""
        try:
            done = await self._done(key, attempt)
            await self._reporter.report(done)
        except asyncio.CancelledError:
            if attempt.ending is None:
                raise
            _log.info("attempt %s ends: %s", key, attempt.ending)
            if attempt.ending is Ending.SHUTDOWN:
                await self._reporter.report(host_lost(key, self._host, f"builder {self._host} was stopped"))
            return attempt.ending.value
        return done.failure_class or "succeeded"

    async def _done(self, key: AttemptKey, attempt: _Attempt) -> BuildDone:
        try:
            return await self._carried_out(key, attempt)
        except Exception as error:
            _log.exception("attempt %s broke off", key)
            return self._failed(attempt.job, _first_of(error))

    async def _clean_up(self, key: AttemptKey, job: Job) -> None:
        self._journal.remove(key)
        if job.directory.exists():
            await asyncio.to_thread(shutil.rmtree, job.directory, ignore_errors=True)

    async def _carried_out(self, key: AttemptKey, attempt: _Attempt) -> BuildDone:
        job = attempt.job
        self._reporter.submit(TaskStarted(task_id=key.task_id, attempt=key.attempt, host=self._host))

        async def append(offset: int, chunk: bytes) -> int:
            return await self._hub.append_log(key, offset, chunk)

        def fenced(said: str) -> None:
            _log.warning("attempt %s is abandoned, the hub says: %s", key, said)
            self.end(key, Ending.STALE)

        with ShippedLog(job.directory / "log", append, self._tools.clock, on_fenced=fenced) as log:
            job.write_log, job.log_size_bytes = log.write, lambda: log.size_bytes
            async with asyncio.TaskGroup() as group:
                group.create_task(log.ship(), name=f"log of {key}")
                done = await self._performed(job, log)
                job.enter("log")
                log.finish()
        return done

    async def _performed(self, job: Job, log: ShippedLog) -> BuildDone:
        try:
            artifacts = await KINDS[job.assignment.kind].perform(job)
        except Exception as error:
            failed = self._failed(job, error)
            if failed.failure_class == "internal":
                _log.exception("attempt %s failed", job.name)
            log.write(f"deborch-builder: failed ({failed.failure_class}): {failed.message}\n".encode())
            return failed
        return BuildDone(
            task_id=job.assignment.task_id,
            attempt=job.assignment.attempt,
            host=self._host,
            succeeded=True,
            artifacts=artifacts,
            stages=tuple(job.stages),
        )

    def _failed(self, job: Job, error: Exception) -> BuildDone:
        return BuildDone(
            task_id=job.assignment.task_id,
            attempt=job.assignment.attempt,
            host=self._host,
            succeeded=False,
            failure_class=failure_class_of(error),
            message=message_of(error),
            missing=missing_of(error),
            stages=tuple(job.stages),
        )


def host_lost(key: AttemptKey, host: str, message: str) -> BuildDone:
    """The report that gives a task back because its host could not finish it."""
    return BuildDone(
        task_id=key.task_id, attempt=key.attempt, host=host, succeeded=False, failure_class="host-lost", message=message
    )


def _first_of(error: Exception) -> Exception:
    return _first_of(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _nowhere(_: bytes) -> None:
    """The log before there is one."""
