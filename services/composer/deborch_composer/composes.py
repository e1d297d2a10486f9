"""The composes that run here: each is started once, worked on, and reported or ended without a word."""

import asyncio
import logging
import shutil
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from prometheus_client import Counter, Gauge

from deborch_composer.compose_key import ComposeKey
from deborch_composer.journal import Journal
from deborch_composer.one_compose import OneCompose, Tools
from deborch_composer.reporter import Reporter
from deborch_shared.contract.composes import ComposeGrant
from deborch_shared.events.composes import ComposeReleased, RunningCompose

_log = logging.getLogger(__name__)
_ended = Counter("deborch_composer_attempts_total", "Attempts at composes that ended here", ["outcome"])
_running = Gauge("deborch_composer_running_composes", "Composes that run here")
_REMEMBERED = 1_000


class Ending(StrEnum):
    """Why a compose is stopped before its end."""

    CANCELED = "canceled"
    """The hub said so; it wants no report."""
    LOST = "lost"
    """The hub has given it to another composer; a report would change nothing."""
    SHUTDOWN = "shutdown"
    """This daemon leaves; the hub is told so, to give the compose to another at once."""


@dataclass(slots=True)
class _Running:
    compose: OneCompose
    task: "asyncio.Task[None] | None" = None
    ending: Ending | None = None


class Composes:
    """Starts, counts and stops composes while `run` runs."""

    def __init__(
        self,
        *,
        composer: str,
        work_dir: Path,
        tools: Tools,
        journal: Journal,
        reporter: Reporter,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self._composer = composer
        self._work_dir = work_dir
        self._tools = tools
        self._journal = journal
        self._reporter = reporter
        self.on_change = on_change
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[ComposeKey, _Running] = {}
        self._over: OrderedDict[ComposeKey, None] = OrderedDict()
        self._none_left = asyncio.Event()
        self._none_left.set()

    def __len__(self) -> int:
        return len(self._running)

    def for_heartbeat(self) -> tuple[RunningCompose, ...]:
        return tuple(
            RunningCompose(compose_id=key.compose_id, attempt=key.attempt, phases=running.compose.phases())
            for key, running in self._running.items()
        )

    async def run(self) -> None:
        """Hold the composes until cancelled. Those still there then stay in the journal for the next start."""
        async with asyncio.TaskGroup() as self._group:
            await asyncio.Event().wait()

    def start(self, grant: ComposeGrant) -> None:
        """Begin an attempt that is in the journal, unless it was canceled before this composer knew that it had it."""
        if self._group is None:
            raise RuntimeError("composes are started while `run` runs")
        key = ComposeKey(grant.compose_id, grant.attempt)
        if key in self._over:
            self._journal.remove(key)
            return
        # Not by attempt: an engine finds what an earlier attempt has begun by where its treefile is.
        directory = self._work_dir / str(grant.compose_id)
        compose = OneCompose(grant, self._composer, directory, self._tools, self._reporter.submit)
        running = self._running[key] = _Running(compose)
        self._changed()
        running.task = self._group.create_task(self._attempt(key, running), name=f"compose {key}")

    def end(self, key: ComposeKey, ending: Ending) -> None:
        """Stop the attempt if it runs, and have it not start if it does not yet; the first reason given counts."""
        self._remember(key)
        running = self._running.get(key)
        if running is None or running.task is None or running.ending is not None:
            return
        running.ending = ending
        # Not now: a task that is cancelled before its first step never runs, so that nobody would clean up.
        asyncio.get_running_loop().call_soon(running.task.cancel)

    async def drain(self, timeout_s: float) -> None:
        """Let the running composes end; stop those that take longer, and give them back."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._none_left.wait()
        except TimeoutError:
            _log.warning("%d composes did not end within %.0f s and are given back", len(self), timeout_s)
            for key in list(self._running):
                self.end(key, Ending.SHUTDOWN)
            await self._none_left.wait()

    async def _attempt(self, key: ComposeKey, running: _Running) -> None:
        outcome = "interrupted"
        try:
            await self._earlier_ended(key)
            outcome = await self._ended(key, running)
            await self._clean_up(key, running)
        finally:
            _ended.labels(outcome).inc()
            del self._running[key]
            self._remember(key)
            self._changed()

    async def _earlier_ended(self, key: ComposeKey) -> None:
        """An earlier attempt at the same compose, which this composer lost, may still be ending: it has the files."""
        others = [running.task for other, running in self._running.items() if other.compose_id == key.compose_id]
        if earlier := [task for task in others if task is not None and task is not asyncio.current_task()]:
            await asyncio.wait(earlier)

    async def _ended(self, key: ComposeKey, running: _Running) -> str:
        """Work to the end, report it if the hub wants to know, and name the outcome."""

        def fenced(said: str) -> None:
            _log.warning("compose %s is abandoned, the hub says: %s", key, said)
            self.end(key, Ending.LOST)

        try:
            done = await running.compose.run(fenced)
            await self._reporter.report(done)
        except asyncio.CancelledError:
            if running.ending is None:
                raise
            _log.info("compose %s ends: %s", key, running.ending)
            if running.ending is Ending.SHUTDOWN:
                await self._reporter.report(released(key, self._composer, f"composer {self._composer} was stopped"))
            return running.ending.value
        return done.outcome

    async def _clean_up(self, key: ComposeKey, running: _Running) -> None:
        self._journal.remove(key)
        await asyncio.to_thread(shutil.rmtree, running.compose.directory, ignore_errors=True)

    def _remember(self, key: ComposeKey) -> None:
        self._over[key] = None
        while len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)

    def _changed(self) -> None:
        _running.set(len(self._running))
        if self._running:
            self._none_left.clear()
        else:
            self._none_left.set()
        self.on_change()


def released(key: ComposeKey, composer: str, reason: str) -> ComposeReleased:
    """The report that gives a compose back."""
    return ComposeReleased(compose_id=key.compose_id, attempt=key.attempt, composer=composer, reason=reason)
