"""Runs one phase of a compose for one target: looks for its record, or makes it, with retries and a time limit."""

import asyncio
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from deb_bootc_compose.digests import JsonObject, canonical, digest_of
from deb_bootc_compose.phases.api import Phase, PhaseResult, PhaseWork
from deb_bootc_compose.phases.context import ComposeRun
from deb_bootc_compose.phases.events import PhaseRetry, PhaseStarted
from deb_bootc_compose.phases.graph import Node
from deb_bootc_compose.phases.reporting import PhaseReporter
from deb_bootc_compose.phases.retries import our_failures, time_limit, wait_before_retry_s
from deb_bootc_compose.state.records import Record, Wanted
from deb_bootc_compose.state.trees import remove_tree, staging
from deb_bootc_compose.state.whole_files import link_whole
from deborch_shared.cancellation import to_the_end
from deborch_shared.errors import DeborchError


@dataclass(frozen=True, slots=True)
class Finished:
    """A phase that is done. `reused`: nothing had to be run for it."""

    result: PhaseResult
    reused: bool
    basis: str
    """Of all that was before it: if that is the same when the compose is resumed, it is not even asked again."""


class OnePhase:
    """One node of the graph, to be run once."""

    def __init__(self, run: ComposeRun, node: Node) -> None:
        self._run = run
        self._node = node
        self._phase: Phase = run.phases[node.phase]
        self._basis = digest_of([node.phase, self._phase.version, self._facts_before()])

    async def finish(self) -> Finished:
        """Find or make what it leaves, and put its deliverables into the compose's tree.

        Raises:
            DeborchError: with a class, whatever went wrong.
        """
        log = self._run.compose.logs / f"{self._node}.log"
        with PhaseReporter(self._node, log, self._run.observer) as progress, our_failures(self._node.phase, progress):
            async with time_limit(self._node.phase, self._timeout_s()):
                finished = await self._with_retries(self._work(progress))
                canonical(finished.result.facts)  # or it is no JSON, and the phase is to blame
            await to_the_end(asyncio.to_thread(self._deliver, finished.result))
        return finished

    async def _with_retries(self, work: PhaseWork) -> Finished:
        attempt = 1
        while True:
            self._run.observer.on_event(PhaseStarted(self._node.phase, self._node.target, attempt))
            try:
                return await self._attempt(work)
            except DeborchError as error:
                wait_s = wait_before_retry_s(error, attempt)
                if wait_s is None:
                    raise
                work.progress.log(f"attempt {attempt} failed, the next is in {wait_s:g} s: {error}\n".encode())
                self._run.observer.on_event(PhaseRetry(self._node.phase, self._node.target, error, wait_s))
            await self._run.clock.sleep(wait_s)
            attempt += 1

    async def _attempt(self, work: PhaseWork) -> Finished:
        if not self._phase.cacheable:
            return Finished(await self._make_for_this_compose(work), reused=False, basis=self._basis)
        inputs, inputs_digest = await self._key(work)
        record, reused = await self._run.store.obtain(self._wanted(work, inputs, inputs_digest), self._run.users)
        self._run.made.add((self._node.phase, inputs_digest))
        return Finished(self._result(record.inputs_digest, record.facts, record.directory), reused, self._basis)

    async def _key(self, work: PhaseWork) -> tuple[JsonObject, str]:
        """What the phase depends on: that of an earlier run of this compose, if nothing before it is another."""
        before = self._run.before.get(str(self._node), {})
        if before.get("basis") == self._basis and before.get("inputs_digest"):
            record = self._run.store.find(self._node.phase, before["inputs_digest"])
            if record is not None:
                return record.inputs, record.inputs_digest
        inputs = {
            "version": self._phase.version,
            "inputs": await self._phase.inputs(work),
            "facts": self._facts_before(),
        }
        return inputs, digest_of([self._node.phase, inputs])

    def _wanted(self, work: PhaseWork, inputs: JsonObject, inputs_digest: str) -> Wanted:
        async def make(directory: Path) -> JsonObject:
            return await self._phase.run(replace(work, directory=directory))

        async def usable(record: Record) -> bool:
            result = self._result(record.inputs_digest, record.facts, record.directory)
            return await self._phase.holds(work, result)

        key = (self._node.phase, inputs_digest)
        resumed = self._run.before.get(str(self._node), {}).get("inputs_digest") == inputs_digest
        return Wanted(
            self._node.phase,
            inputs,
            inputs_digest,
            self._run.compose.compose_id,
            make,
            usable,
            fresh=lambda: self._run.request.force and not resumed and key not in self._run.made,
            on_wait=work.progress.step,
        )

    async def _make_for_this_compose(self, work: PhaseWork) -> PhaseResult:
        target = self._run.compose.work / "results" / str(self._node)
        async with staging(self._run.state, self._node.phase) as directory:
            files = directory / "files"
            files.mkdir()
            facts = await self._phase.run(replace(work, directory=files))
            target.parent.mkdir(parents=True, exist_ok=True)
            await remove_tree(target)
            files.rename(target)
        return self._result("", facts, target)

    def _work(self, progress: PhaseReporter) -> PhaseWork:
        run = self._run
        return PhaseWork(
            request=run.request,
            compose_id=run.compose.compose_id,
            target=self._node.target,
            treefiles=run.treefiles,
            directory=run.state.scratch / "not-there-yet",
            results=self._results(),
            all_results={(node.phase, node.target): result for node, result in run.results.items()},
            state=run.state,
            tools=run.tools,
            progress=progress,
            epoch=run.epoch,
            services=run.services,
        )

    def _results(self) -> dict[str, PhaseResult]:
        """Of what it waited for; a phase of the compose finds those of targets in `all_results`."""
        return {
            node.phase: self._run.results[node]
            for node in self._run.graph.waits[self._node]
            if node in self._run.results and node.target in (None, self._node.target)
        }

    def _facts_before(self) -> dict[str, str]:
        waits = self._run.graph.waits[self._node]
        name = str if self._node.target is None else lambda node: node.phase  # records know no target
        done = {node: self._run.results[node] for node in waits if node in self._run.results}
        return {name(node): result.digest for node, result in done.items() if result.facts}

    def _result(self, inputs_digest: str, facts: JsonObject, directory: Path) -> PhaseResult:
        return PhaseResult(self._node.phase, self._node.target, inputs_digest, facts, directory)

    def _timeout_s(self) -> float | None:
        """Of the treefile: the phase's own, or its group's; for a phase of the compose the longest that is given."""
        target = self._node.target
        treefiles = [self._run.treefiles[target]] if target else list(self._run.treefiles.values())
        names = (self._node.phase, self._node.phase.partition(".")[0])
        given = [
            next((treefile.phase_timeouts_s[name] for name in names if name in treefile.phase_timeouts_s), None)
            for treefile in treefiles
        ]
        return max((timeout_s for timeout_s in given if timeout_s is not None), default=None)

    def _deliver(self, result: PhaseResult) -> None:
        target = self._node.target
        place = self._run.compose.place(*(target.variant, target.architecture) if target else (None, None))
        for name, source in self._phase.deliverables(result).items():
            if source.is_dir():
                shutil.copytree(source, place / name, dirs_exist_ok=True, symlinks=True, copy_function=_link)
            else:
                link_whole(source, place / name)


def _link(source: str, target: str) -> None:
    link_whole(Path(source), Path(target))
