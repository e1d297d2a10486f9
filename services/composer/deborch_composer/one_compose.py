"""One attempt at one compose: the tree here, the engine's work, the results to the hub, and what to report."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deborch_composer.commit_upload import upload_objects
from deborch_composer.compose_key import ComposeKey
from deborch_composer.engine_port import ComposeEngine, EngineOrder, Made, MadeFile, PhaseEnd
from deborch_composer.failures import failure_class_of, message_of
from deborch_composer.hub import Hub
from deborch_composer.order_tree import fetch_tree
from deborch_composer.phase_logs import PhaseLogs
from deborch_composer.watching import UPLOAD, ReportingWatch
from deborch_shared.clock import Clock
from deborch_shared.contract.composes import ComposeGrant
from deborch_shared.events.composes import ComposeDone, ComposeOutput, RunningPhase
from deborch_shared.events.model import EventData
from deborch_shared.worker.backoff import persist
from deborch_shared.worker.transfers import Transfers

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt of this daemon uses."""

    engine: ComposeEngine
    hub: Hub
    transfers: Transfers
    clock: Clock


class OneCompose:
    """`run` once. It reports on the way, not its end."""

    def __init__(
        self,
        grant: ComposeGrant,
        composer: str,
        directory: Path,
        tools: Tools,
        submit: Callable[[EventData], None],
    ) -> None:
        self.grant = grant
        self.key = ComposeKey(grant.compose_id, grant.attempt)
        self.directory = directory
        self._composer = composer
        self._tools = tools
        self._submit = submit
        self._watch: ReportingWatch | None = None

    def phases(self) -> tuple[RunningPhase, ...]:
        """What they do now, for heartbeats."""
        return self._watch.running() if self._watch else ()

    async def run(self, on_fenced: Callable[[str], None]) -> ComposeDone:
        """The report of its end, when everything that it names is at the hub. `on_fenced`: it is not ours any more."""
        tools = self._tools
        try:
            with PhaseLogs(self.key, self.directory / "logs", tools.hub, tools.clock, on_fenced) as logs:
                async with asyncio.TaskGroup() as group:
                    logs.ship_in(group)
                    self._watch = ReportingWatch(self.key, self._composer, self._submit, logs.write)
                    done = await self._performed(self._watch)
                    logs.finish()
        except Exception as error:
            return self._failed(error)
        return done

    async def _performed(self, watch: ReportingWatch) -> ComposeDone:
        try:
            made = await self._made(watch)
            if made.outcome == "failed":
                return self._done(made)
            return self._done(made, await self._uploaded(made, watch))
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> ComposeDone:
        first = _first_of(error)
        if failure_class_of(first) == "internal":
            _log.error("compose %s failed", self.key, exc_info=error)
        return self._done(Made("failed", failure_class=failure_class_of(first), message=message_of(first)))

    async def _made(self, watch: ReportingWatch) -> Made:
        tools, tree = self._tools, self.directory / "tree"
        await fetch_tree(self.grant.order, tree, tools.transfers)
        refs = await persist(tools.hub.refs, clock=tools.clock, what="asking for refs", patient=True)
        await tools.engine.follow(refs)
        return await tools.engine.compose(EngineOrder(self.grant.reference, tree, self.grant.order), watch)

    async def _uploaded(self, made: Made, watch: ReportingWatch) -> tuple[ComposeOutput, ...]:
        began_s = self._tools.clock.monotonic_s()
        watch.began(UPLOAD, 1)
        if made.commits:
            watch.step(UPLOAD, "listing the objects of commits", 0, 0)
            async with self._tools.engine.objects_of(made.commits) as source:
                tell = partial(watch.step, UPLOAD, "sending objects")
                await upload_objects(source, self._tools.hub, self._tools.clock, tell)
        watch.step(UPLOAD, "sending files", 0, len(made.files))
        async with asyncio.TaskGroup() as group:
            uploads = [group.create_task(self._upload(file)) for file in made.files]
        watch.ended(PhaseEnd(UPLOAD, "done", self._tools.clock.monotonic_s() - began_s))
        return tuple(upload.result() for upload in uploads)

    async def _upload(self, file: MadeFile) -> ComposeOutput:
        stored = await self._tools.transfers.upload(file.source)
        return ComposeOutput(
            path=file.path,
            kind=file.kind,
            variant=file.variant,
            architecture=file.architecture,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
        )

    def _done(self, made: Made, outputs: tuple[ComposeOutput, ...] = ()) -> ComposeDone:
        return ComposeDone(
            compose_id=self.key.compose_id,
            attempt=self.key.attempt,
            composer=self._composer,
            outcome=made.outcome,
            seconds=made.seconds,
            failure_class=made.failure_class,
            message=made.message,
            outputs=outputs,
            commits=made.commits,
            images=made.images,
        )


def _first_of(error: Exception) -> Exception:
    return _first_of(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error
