"""The engine: one request in, one compose on disk out. The whole port for the daemon and for the command line."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from deb_bootc_compose.failures import FailureClass, failure, failures_are
from deb_bootc_compose.phases.api import Target
from deb_bootc_compose.phases.context import ComposeRun
from deb_bootc_compose.phases.events import FINISHED, ComposeDone, ComposeStarted, Observer, PhaseState, Unobserved
from deb_bootc_compose.phases.graph import FIRST, Graph, Node, plan
from deb_bootc_compose.phases.registry import Phases, installed_phases
from deb_bootc_compose.phases.reporting import PhaseReporter
from deb_bootc_compose.phases.request import ComposeRequest, ComposeStatus, ComposeType
from deb_bootc_compose.phases.retries import our_failures
from deb_bootc_compose.phases.runner import Outcome, Runner
from deb_bootc_compose.state.compose_directory import (
    ComposeDirectory,
    all_composes,
    already_running,
    id_prefix,
    make_compose,
    open_compose,
)
from deb_bootc_compose.state.layout import State
from deb_bootc_compose.state.privacy import keep_private
from deb_bootc_compose.state.quiet import at_work
from deb_bootc_compose.tools.absent import AbsentTools
from deb_bootc_compose.tools.port import Tools
from deb_bootc_compose.tools.roots import Voice
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deb_bootc_compose.treefile.resolving import Asked, native_architecture, resolve_all, targets
from deborch_shared.clock import Clock, SystemClock
from deborch_shared.errors import DeborchError, ErrorCode

Treefiles = Mapping[Target, ResolvedTreefile]
Resolver = Callable[[ComposeRequest], Treefiles]
"""Reads the treefile of a request, for each variant and architecture. Blocks."""

OpenTools = Callable[[State, Voice], Awaitable[Tools]]
"""The tools that phases run; `Voice` hears of it if they have to be made."""


async def no_tools(_state: State, _voice: Voice) -> Tools:
    """For phases that use none."""
    return AbsentTools()


SUFFIXES: Mapping[ComposeType, str] = MappingProxyType(
    {
        ComposeType.PRODUCTION: "",
        ComposeType.NIGHTLY: ".n",
        ComposeType.TEST: ".t",
        ComposeType.CI: ".ci",
        ComposeType.DEVELOPMENT: ".d",
    }
)
"""What Pungi puts into compose ids."""


@dataclass(frozen=True, slots=True)
class ComposeResult:
    """How a compose ended."""

    compose_id: str
    status: ComposeStatus
    directory: ComposeDirectory
    outcomes: tuple[Outcome, ...]
    seconds: float
    error: DeborchError | None = None
    """Before any phase: there are no tools."""

    @property
    def errors(self) -> tuple[DeborchError, ...]:
        """What failed; what the compose cannot do without comes first."""
        if self.error is not None:
            return (self.error,)
        failed = [outcome for outcome in self.outcomes if outcome.state is PhaseState.FAILED]
        ordered = sorted(failed, key=lambda outcome: outcome.failable)
        return tuple(outcome.error for outcome in ordered if outcome.error is not None)


@dataclass(frozen=True, slots=True)
class Engine:
    """Makes composes in one state directory. Several may run at once, in one loop or many processes."""

    state: State
    resolve: Resolver = field(default_factory=lambda: treefiles_of)
    phases: Phases = field(default_factory=installed_phases)
    open_tools: OpenTools = no_tools
    services: Mapping[str, object] = field(default_factory=dict)
    """Ports that phases find in `PhaseWork.services`, such as `builds`."""
    clock: Clock = field(default_factory=SystemClock)

    async def compose(self, request: ComposeRequest, observer: Observer | None = None) -> ComposeResult:
        """A new compose. What fails in a phase is in the result; cancellation leaves it TERMINATED, for `resume`.

        Raises:
            DeborchError: the treefile, the request or an installed phase is wrong: no compose was begun.
        """
        treefiles = await asyncio.to_thread(self.resolve, request)
        graph = self._plan(request, treefiles)
        began_at = self.clock.now().astimezone(UTC)
        description = {
            "name": _name(treefiles),
            "request": request.model_dump(mode="json"),
            "treefiles": {str(target): treefile.digest for target, treefile in treefiles.items()},
            "began_at": began_at.isoformat(),
            "epoch": _epoch(request, began_at),
        }
        prefix = id_prefix(_name(treefiles), _version(request, treefiles), began_at, SUFFIXES[request.type])
        directory = await asyncio.to_thread(make_compose, self.state, prefix, description, ComposeStatus.STARTED.value)
        return await self._run(directory, request, treefiles, graph, observer or Unobserved(), resumed=False)

    async def resume(
        self, compose_id: str, observer: Observer | None = None, *, workers: int | None = None
    ) -> ComposeResult:
        """Go on with a compose that failed, was canceled or killed: what is finished is not run again.

        Raises:
            DeborchError: NOT_FOUND, CONFLICT if it runs or is finished, PRECONDITION_FAILED if its treefile changed.
        """
        directory = open_compose(self.state, compose_id)
        description = directory.description
        if description is None:
            raise _unreadable(directory)
        if directory.status in {ComposeStatus.FINISHED, ComposeStatus.FINISHED_INCOMPLETE}:
            raise _is_finished(directory)
        request = ComposeRequest.model_validate(description["request"])
        if workers is not None:
            request = request.model_copy(update={"workers": workers})
        treefiles = await asyncio.to_thread(self.resolve, request)
        if description["treefiles"] != {str(target): treefile.digest for target, treefile in treefiles.items()}:
            raise _treefile_changed(directory, request)
        graph = self._plan(request, treefiles)
        return await self._run(directory, request, treefiles, graph, observer or Unobserved(), resumed=True)

    def plan(self, request: ComposeRequest) -> Graph:
        """What `compose` would run."""
        return self._plan(request, self.resolve(request))

    def find(self, reference: str) -> ComposeDirectory | None:
        """The newest compose whose request has this reference."""
        found = None
        for compose in all_composes(self.state):
            description = compose.description
            if description is not None and description["request"].get("reference") == reference:
                found = compose
        return found

    def _plan(self, request: ComposeRequest, treefiles: Treefiles) -> Graph:
        if not treefiles:
            raise failure(
                FailureClass.TREEFILE,
                ErrorCode.INVALID_INPUT,
                f"no variant and architecture of {request.treefile} was chosen",
                hint="name variants and architectures that the treefile has",
            )
        return plan(self.phases, request, treefiles)

    async def _run(
        self,
        directory: ComposeDirectory,
        request: ComposeRequest,
        treefiles: Treefiles,
        graph: Graph,
        observer: Observer,
        *,
        resumed: bool,
    ) -> ComposeResult:
        with directory.running() as ours, ExitStack() as users:
            if not ours:
                raise already_running(directory)
            directory.set_status(ComposeStatus.STARTED)
            keep_private(self.state)
            nodes = tuple((node.phase, node.target) for node in (*graph.order, *graph.skipped))
            observer.on_event(ComposeStarted(directory.compose_id, str(directory.path), nodes, resumed))
            run = ComposeRun(
                request=request,
                phases=self.phases,
                graph=graph,
                treefiles=treefiles,
                compose=directory,
                state=self.state,
                tools=AbsentTools(),
                epoch=(directory.description or {})["epoch"],
                services=self.services,
                observer=observer,
                clock=self.clock,
                users=users,
                before=_finished_before(directory) if resumed else {},
            )
            async with at_work(self.state):
                return await self._run_phases(run)

    async def _run_phases(self, run: ComposeRun) -> ComposeResult:
        began_s = self.clock.monotonic_s()
        runner = Runner(run)
        status, refused = ComposeStatus.DOOMED, None
        try:
            run.tools = await self._opened_tools(run)
            await runner.run()
            status = _status(runner.outcomes.values())
        except DeborchError as error:
            refused = error
        except asyncio.CancelledError:
            status = ComposeStatus.TERMINATED
            raise
        finally:
            seconds = round(self.clock.monotonic_s() - began_s, 3)
            outcomes = tuple(runner.outcomes.values())
            result = ComposeResult(run.compose.compose_id, status, run.compose, outcomes, seconds, refused)
            with suppress(OSError):  # a full disk: `list` sees that nobody runs it any more
                run.compose.set_status(status)
            run.observer.on_event(ComposeDone(run.compose.compose_id, status, seconds, result.errors))
        return result

    async def _opened_tools(self, run: ComposeRun) -> Tools:
        """Told as a step of `init`, which is the first phase and has not begun yet."""
        log = run.compose.logs / f"{FIRST}.log"
        with PhaseReporter(Node(FIRST), log, run.observer) as progress, our_failures(FIRST, progress):
            return await self.open_tools(self.state, Voice(progress.step, progress.log))


def treefiles_of(request: ComposeRequest) -> Treefiles:
    """The treefile of `request`, for each variant and architecture that it asks for.

    Raises:
        DeborchError: INVALID_INPUT, with every problem of the treefile.
    """
    with failures_are(FailureClass.TREEFILE):
        asked = Asked(request.treefile, request.variables, request.allowed)
        architectures = request.architectures
        if not architectures and native_architecture() in {architecture for _, architecture in targets(asked)}:
            architectures = (native_architecture(),)
        found = resolve_all(asked, variants=request.variants, architectures=architectures)
    changed = {} if request.outputs is None else {"outputs": request.outputs}
    return {Target(*target): treefile.model_copy(update=changed) for target, treefile in found.items()}


def _finished_before(directory: ComposeDirectory) -> dict[str, dict[str, object]]:
    return {node: content for node, content in directory.phases().items() if content.get("state") in FINISHED}


def _status(outcomes: Iterable[Outcome]) -> ComposeStatus:
    ended = list(outcomes)
    if any(outcome.is_fatal or outcome.state is PhaseState.CANCELED for outcome in ended):
        return ComposeStatus.DOOMED
    if any(outcome.state is PhaseState.FAILED for outcome in ended):
        return ComposeStatus.FINISHED_INCOMPLETE
    return ComposeStatus.FINISHED


def _name(treefiles: Treefiles) -> str:
    return next(iter(treefiles.values())).name


def _version(request: ComposeRequest, treefiles: Treefiles) -> str:
    first = next(iter(treefiles.values()))
    return request.version or first.automatic_version_prefix or first.suite


def _epoch(request: ComposeRequest, began_at: datetime) -> int:
    return int(began_at.timestamp()) if request.source_date_epoch is None else request.source_date_epoch


def _unreadable(directory: ComposeDirectory) -> DeborchError:
    return failure(
        FailureClass.HOST,
        ErrorCode.INVALID_INPUT,
        f"{directory.work / 'compose.json'} cannot be read",
        hint="run `compose` again: what is finished is found by its inputs",
    )


def _is_finished(directory: ComposeDirectory) -> DeborchError:
    return failure(
        FailureClass.TREEFILE,
        ErrorCode.CONFLICT,
        f"the compose {directory.compose_id} is finished: {directory.status}",
        hint="run `compose` for a new one; what has not changed is not made again",
    )


def _treefile_changed(directory: ComposeDirectory, request: ComposeRequest) -> DeborchError:
    return failure(
        FailureClass.TREEFILE,
        ErrorCode.PRECONDITION_FAILED,
        f"{request.treefile} or a file of it has changed since {directory.compose_id} began",
        hint="run `compose` for a new one; phases that the change does not concern are not run again",
    )
