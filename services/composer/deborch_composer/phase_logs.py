"""The logs of one attempt's phases: each in a file of its own here, shipped to the hub while it grows."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from deborch_composer.compose_key import ComposeKey
from deborch_composer.engine_port import Node
from deborch_composer.hub import Hub
from deborch_shared.clock import Clock
from deborch_shared.worker.shipped_log import ShippedLog


class PhaseLogs:
    """Logs come into being with what is first written to them. A context manager, which closes the files."""

    def __init__(
        self,
        key: ComposeKey,
        directory: Path,
        hub: Hub,
        clock: Clock,
        on_fenced: Callable[[str], None],
    ) -> None:
        self._key = key
        self._directory = directory
        self._hub = hub
        self._clock = clock
        self._group: asyncio.TaskGroup | None = None
        self._on_fenced = on_fenced
        self._logs: dict[Node, ShippedLog] = {}
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def ship_in(self, group: asyncio.TaskGroup) -> None:
        """From now on."""
        self._group = group

    def write(self, node: Node, chunk: bytes) -> None:
        """Raises:
        DeborchError: DISK_FULL.
        """
        if node not in self._logs:
            self._logs[node] = self._begun(node)
        self._logs[node].write(chunk)

    def finish(self) -> None:
        """Nothing more is written; the shipping in the group ends when the hub has it all."""
        for log in self._logs.values():
            log.finish()

    def _begun(self, node: Node) -> ShippedLog:
        if self._group is None:
            raise RuntimeError("logs are written while they are shipped: see ship_in")

        async def append(offset: int, chunk: bytes) -> int:
            return await self._hub.append_log(self._key, str(node), offset, chunk)

        log = ShippedLog(self._directory / f"{node}.log", append, self._clock, on_fenced=self._on_fenced)
        self._files.enter_context(log)
        self._group.create_task(log.ship(), name=f"log of {node} of {self._key}")
        return log
