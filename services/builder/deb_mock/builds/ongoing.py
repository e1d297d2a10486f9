"""The work that an engine is doing: ended when the engine closes, its files owned so that none stay if it is killed."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deb_mock.results.directory import ResultDirectory
from deb_mock.stages.guards import plain_failures
from deborch_shared.sandbox import record


class OngoingWork:
    """What runs in the tasks of one engine; owners are recorded in `sandboxes_dir`."""

    def __init__(self, sandboxes_dir: Path) -> None:
        self._sandboxes_dir = sandboxes_dir
        self._running: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def known(self) -> AsyncIterator[None]:
        """What runs within is ended by `close`."""
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
        try:
            yield
        finally:
            if task is not None:
                self._running.discard(task)

    @asynccontextmanager
    async def with_results(self, name: str, results: ResultDirectory, files: tuple[Path, ...]) -> AsyncIterator[None]:
        """Around work that has results: owned on disk, with failures of our kind."""
        claim = f"{name}-result-{secrets.token_hex(4)}"
        with plain_failures():
            results.check_free()
            async with self.known(), record.owned(self._sandboxes_dir, claim, (results.unfinished, *files)):
                results.create()
                yield

    @asynccontextmanager
    async def scratch(self, name: str) -> AsyncIterator[Path]:
        """A directory that is removed at the end, or by the next engine if this process is killed."""
        directory = self._sandboxes_dir / f"{name}-scratch-{secrets.token_hex(4)}"
        async with record.owned(self._sandboxes_dir, directory.name, (directory,)):
            directory.mkdir(mode=0o700)
            yield directory

    async def close(self) -> None:
        """Cancel what still runs, and wait until it is gone."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
