"""Packages that a compose needs, built by the hub: ordered over its API, waited for by its events, never by polling."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deborch_shared.bus import EVENTS, Bus, QueueSpec
from deborch_shared.clock import Clock
from deborch_shared.contract.base import Page
from deborch_shared.contract.builds import Artifact, Build, BuildCreate, BuildDetail, SuiteSource, UploadedFile
from deborch_shared.contract.states import BuildState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.events import Event
from deborch_shared.events.model import BuildCanceled, BuildCompleted, BuildFailed, File
from deborch_shared.http import ApiClient
from deborch_shared.sources import parse_dsc
from deborch_shared.worker.backoff import persist
from deborch_shared.worker.transfers import Transfers

_ENDS = (BuildCompleted, BuildFailed, BuildCanceled)
_QUEUE_LIVES_S = 300.0
_MOST_ORDERS = 10
"""Of one source for one compose, each after the one before has failed."""
_CANCEL_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A source package for a target: one of the target's suite, or a .dsc with its files beside it."""

    target: str
    name: str
    version: str | None = None
    dsc: Path | None = None


class BuildEvents:
    """Wakes who waits for a build when the bus says that it has ended, or that something may have been missed."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Event] = {}

    def listen_on(self, bus: Bus, composer: str) -> None:
        """Call before the bus runs."""
        keys = tuple(end.TYPE for end in _ENDS)
        queue = QueueSpec(f"composer.{composer}.builds", EVENTS, keys, "transient", message_ttl_s=_QUEUE_LIVES_S)
        bus.consume(queue, self.take)
        bus.on_connected.append(self.look_again)

    async def take(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event.data, _ENDS) and event.data.build_id in self._waiting:
                self._waiting[event.data.build_id].set()

    def look_again(self) -> None:
        """What ended while there was no link was not heard."""
        for woken in self._waiting.values():
            woken.set()

    def of(self, build_id: int) -> asyncio.Event:
        """Set when the build should be looked at."""
        return self._waiting.setdefault(build_id, asyncio.Event())

    def forget(self, build_id: int) -> None:
        self._waiting.pop(build_id, None)


class HubBuilds:
    """Orders builds, waits for them, and fetches the packages."""

    def __init__(self, client: ApiClient, transfers: Transfers, events: BuildEvents, clock: Clock) -> None:
        self._client = client
        self._transfers = transfers
        self._events = events
        self._clock = clock

    async def build(
        self,
        wishes: Sequence[Wish],
        architecture: str,
        reference: str,
        results: Path,
        say: Callable[[str], None],
        *,
        timeout_s: float,
    ) -> None:
        """Put the .debs of all `wishes` into `results`; each is built when those before it are published.

        What is built of the same version already is not built again. `reference`: asked for once under it, however
        often this is called. Cancellation cancels the builds.

        Raises:
            DeborchError: BUILD_FAILED, PROCESS_TIMEOUT, or what the hub says.
        """
        ordered: list[int] = []
        try:
            async with asyncio.timeout(timeout_s):
                for wish in wishes:
                    ordered.append(await self._ordered(wish, architecture, reference, ordered))
                for wish, build_id in zip(wishes, ordered, strict=True):
                    await self._ended(wish, build_id, say)
        except TimeoutError:
            await self._cancel(ordered)
            raise DeborchError(
                ErrorCode.PROCESS_TIMEOUT,
                f"the hub did not build {', '.join(wish.name for wish in wishes)} within {timeout_s:.0f} s",
                hint="see `deborch build list` and `deborch task why`, or raise timeout_s of `build` in the treefile",
            ) from None
        except asyncio.CancelledError:
            await self._cancel(ordered)
            raise
        for build_id in ordered:
            await self._fetch(build_id, results)

    async def _ordered(self, wish: Wish, architecture: str, reference: str, before: Sequence[int]) -> int:
        """The build that has been, or is now, asked for."""
        if (known := await self._completed(wish)) is not None:
            return known
        command = BuildCreate(
            target=wish.target, architectures=(architecture,), after_builds=tuple(before), **await self._source(wish)
        )
        for number in range(_MOST_ORDERS):
            text = f"{reference} {wish.target} {wish.name} {wish.version} {number}"
            once = hashlib.sha256(text.encode()).hexdigest()
            order = partial(self._client.post, "/api/v1/builds", BuildDetail, command, idempotency_key=once)
            build = await persist(order, clock=self._clock, what=f"ordering {wish.name}")
            if build.state not in {BuildState.FAILED, BuildState.CANCELED}:
                break
        return build.id

    async def _completed(self, wish: Wish) -> int | None:
        """A build of the very same source, which is published."""
        if wish.version is None:
            return None
        sha256 = await asyncio.to_thread(_digest, wish.dsc) if wish.dsc else None
        params = {"target": wish.target, "source": wish.name, "state": BuildState.COMPLETED.value}
        found = await self._client.get("/api/v1/builds", Page[Build], params=params)
        for build in found.items:
            if build.version == wish.version and not build.scratch and await self._is_of(build.id, sha256):
                return build.id
        return None

    async def _is_of(self, build_id: int, sha256: str | None) -> bool:
        """Whether that .dsc was built; None: any of its version is the suite's."""
        if sha256 is None:
            return True
        build = await self._client.get(f"/api/v1/builds/{build_id}", BuildDetail)
        return any(file.sha256 == sha256 for file in build.source_files)

    async def _source(self, wish: Wish) -> dict[str, object]:
        if wish.dsc is None:
            return {"suite_source": SuiteSource(name=wish.name, version=wish.version)}
        content = await asyncio.to_thread(wish.dsc.read_bytes)
        named = parse_dsc(content, file_name=wish.dsc.name).files
        paths = [wish.dsc, *(wish.dsc.parent / file.name for file in named)]
        dsc, *files = [UploadedFile(**file.model_dump()) for file in await self._transfers.upload_all(paths)]
        return {"dsc": dsc, "files": tuple(files)}

    async def _ended(self, wish: Wish, build_id: int, say: Callable[[str], None]) -> None:
        say(f"the hub builds {wish.name} for {wish.target} (build {build_id})")
        woken = self._events.of(build_id)
        try:
            while True:
                woken.clear()
                build = await persist(
                    lambda: self._client.get(f"/api/v1/builds/{build_id}", BuildDetail),
                    clock=self._clock,
                    what=f"looking at build {build_id}",
                )
                if build.state is BuildState.COMPLETED:
                    return
                if build.state.is_terminal:
                    raise _failed(build)
                await woken.wait()
        finally:
            self._events.forget(build_id)

    async def _fetch(self, build_id: int, results: Path) -> None:
        params = {"build_id": str(build_id), "limit": "500"}
        found = await self._client.get("/api/v1/artifacts", Page[Artifact], params=params)
        debs = {artifact.name: artifact for artifact in found.items if artifact.kind == "deb"}
        files = [File(name=one.name, sha256=one.sha256, size_bytes=one.size_bytes) for one in debs.values()]
        await self._transfers.download_all(files, results)

    async def _cancel(self, builds: Sequence[int]) -> None:
        """As far as the hub can be reached; what is over already stays as it is."""
        for build_id in builds:
            try:
                async with asyncio.timeout(_CANCEL_TIMEOUT_S):
                    await self._client.call("POST", f"/api/v1/builds/{build_id}/cancel")
            except (DeborchError, TimeoutError):
                continue


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _failed(build: BuildDetail) -> DeborchError:
    said = next((task.message for task in build.tasks if task.message), build.message) or build.state.value
    return DeborchError(
        ErrorCode.BUILD_FAILED,
        f"build {build.id} of {build.source} for {build.target} {build.state}: {said}",
        hint=f"see `deborch build show {build.id}` and `deborch log`",
        failure_class="build",
    )
