"""The owner's end of the line to a keeper: start it, send it requests, hand its answers to whoever waits."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import readable

_IMPORT_ROOT = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.append({root!r}); from deborch_shared.sandbox.inside.keeper import main; main()"
_MAX_MESSAGE_BYTES = 1 << 20
_SEND_BUFFER_BYTES = 1 << 20
_READY_WITHIN_S = 30.0
_ENDS_WITHIN_S = 10.0


class KeeperLink:
    """One keeper process. `open`, any number of `run`, then `close` exactly once."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._next_number = 0
        self.workspace_fd = -1
        self.moved_bytes = (0, 0)
        """From disks and to disks, by commands that have ended."""
        self.root_fd = -1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("wb") as errors:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START.format(root=str(_IMPORT_ROOT)), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={"PATH": os.defpath},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._socket = ours
        self._pidfd = os.pidfd_open(self._process.pid)
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def open(self, spec: Mapping[str, Any]) -> None:
        """Send the spec and wait until the root is assembled.

        Raises:
            DeborchError: SANDBOX_FAILED with what the kernel refused.
        """
        self._send(spec)
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                answer, descriptors = await self._receive()
        except TimeoutError:
            raise self._lost("did not answer") from None
        if answer is None or "error" in answer:
            raise self._lost(str(answer["error"]) if answer else "ended at once")
        self.workspace_fd, self.root_fd = descriptors
        self._listening = asyncio.create_task(self._listen())

    def start(self, request: Mapping[str, Any], *descriptors: int) -> tuple[int, asyncio.Future[Mapping[str, Any]]]:
        """Ask for a command; its number, and the future of the keeper's last message about it.

        `descriptors`: where its output goes, and where it reads from, if it is to read anything.
        """
        if self._listening is None or self._listening.done():
            raise self._lost("is gone")
        self._next_number += 1
        number = self._next_number
        ended: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = ended
        self._send({**request, "run": number}, *descriptors)
        return number, ended

    def end(self, number: int) -> None:
        """Ask for the end of a command. Its future tells when everything of it is gone."""
        if number in self._waiting:
            with suppress(OSError):
                self._send({"end": number})

    async def close(self) -> None:
        """End every command and the keeper, and with it the mounts."""
        try:
            if self._listening is not None:
                self._listening.cancel()
                await asyncio.gather(self._listening, return_exceptions=True)
            self._socket.close()
            async with asyncio.timeout(_ENDS_WITHIN_S):
                await readable(self._pidfd)
        except TimeoutError:
            self._process.kill()
        finally:
            self._socket.close()
            self._collect()

    def _collect(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._pidfd)
        for descriptor in (self.workspace_fd, self.root_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self.workspace_fd = self.root_fd = -1

    async def _listen(self) -> None:
        try:
            while True:
                message, _ = await self._receive()
                if message is None:
                    return
                self._count(message)
                ended = self._waiting.pop(int(message["ended"]), None)
                if ended is not None and not ended.done():
                    ended.set_result(message)
        finally:
            for ended in self._waiting.values():
                if not ended.done():
                    ended.set_result({"returncode": -9, "cpu_s": 0.0, "error": "the keeper ended", "missing": False})
            self._waiting.clear()

    def _count(self, message: Mapping[str, Any]) -> None:
        read, written = self.moved_bytes
        self.moved_bytes = (read + int(message["read_bytes"]), written + int(message["written_bytes"]))

    async def _receive(self) -> tuple[dict[str, Any] | None, list[int]]:
        await readable(self._socket.fileno())
        try:
            content, descriptors, _, _ = socket.recv_fds(self._socket, _MAX_MESSAGE_BYTES, 2)
        except ConnectionResetError:
            return None, []
        return (json.loads(content) if content else None), list(descriptors)

    def _send(self, message: Mapping[str, Any], *descriptors: int) -> None:
        content = json.dumps(message).encode()
        try:
            if descriptors:
                socket.send_fds(self._socket, [content], descriptors)
            else:
                self._socket.send(content)
        except OSError as error:
            raise self._lost(f"cannot be told what to do: {error.strerror}") from error

    def _lost(self, why: str) -> DeborchError:
        said = bounded(self._log.read_bytes()).strip() if self._log.exists() else ""
        return DeborchError(
            ErrorCode.SANDBOX_FAILED,
            f"the sandbox keeper {why}" if not said else f"the sandbox keeper {why}: {said}",
            hint="needs root, overlayfs, and a state directory on a disk (not on overlayfs or a network file system)",
        )
