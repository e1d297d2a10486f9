"""The keeper: holds the mounts of one sandbox and starts commands in it as its owner asks.

Owner and keeper speak JSON over a SOCK_SEQPACKET socket, one message a packet. When the socket closes, because
the owner closed it or died, the keeper ends every command, and the mounts end with it.

    owner -> keeper   {"run": id, argv, uid, cwd, env, network, terminal} + descriptor for the output, or of a
                      socket that gets the master of a pseudo-terminal, and perhaps a second one to read from
                      {"end": id}
    keeper -> owner   {"ready": true} + descriptors of workspace and root, or {"error": text} and the end
                      {"ended": id, "returncode": n, "cpu_s": s, "read_bytes": n, "written_bytes": n,
                       "error": text|null, "missing": bool}
"""

import array
import base64
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any

from deborch_shared.sandbox.inside import by_program, command, syscalls
from deborch_shared.sandbox.inside.id_map import make_user_namespace
from deborch_shared.sandbox.inside.root import Root

_MAX_MESSAGE_BYTES = 1 << 20
_PIPE_BYTES = 4096
_RUSAGE_BLOCK_BYTES = 512


class _Command:
    """One running command as the keeper sees it."""

    def __init__(self, number: int, guard: int, reports: int) -> None:
        self.number = number
        self.guard = guard
        self.reports = reports
        self.init: int | None = None
        self.outcome: dict[str, Any] = {}
        self.end_asked = False
        self._unread = b""

    def read_reports(self) -> bool:
        """Take in what arrived; False at the end of the reports."""
        chunk = os.read(self.reports, _PIPE_BYTES)
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "init" in message:
                self.init = self.init or message["init"]
            else:
                self.outcome = {**message, **self.outcome}
        if self.end_asked:
            self.end()
        return bool(chunk)

    def end(self) -> None:
        """Kill init, and with it everything in its pid namespace."""
        self.end_asked = True
        if self.init is not None:
            _kill(self.init)

    def collect(self) -> dict[str, Any]:
        """The last message about this command. Init is gone once its guard has ended."""
        os.close(self.reports)
        _, _, usage = os.wait4(self.guard, 0)
        return {
            "ended": self.number,
            "returncode": self.outcome.get("returncode", -signal.SIGKILL),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "read_bytes": usage.ru_inblock * _RUSAGE_BLOCK_BYTES,
            "written_bytes": usage.ru_oublock * _RUSAGE_BLOCK_BYTES,
            "error": self.outcome.get("error"),
            "missing": self.outcome.get("missing", False),
        }


class Keeper:
    """The loop of the helper process."""

    def __init__(self, owner: socket.socket, spec: dict[str, Any]) -> None:
        self._owner = owner
        calls = None if spec["filter"] is None else base64.b64decode(spec["filter"])
        self._given = {
            "hostname": str(spec["hostname"]),
            "filter": calls,
            "filter_required": spec["filter_required"],
            "backend": spec["backend"],
            "ids": f"{spec['first_id']}:{spec['id_count']}" if spec["first_id"] is not None else None,
        }
        self._by = None if spec["backend"] == "namespaces" else by_program.guard
        self._user_namespace = (
            make_user_namespace(spec["first_id"], spec["id_count"]) if spec["first_id"] is not None else None
        )
        self._root = Root(spec, self._user_namespace)
        self._commands: dict[int, _Command] = {}

    def serve(self) -> None:
        """Assemble the root, then work until the owner goes away."""
        self._root.assemble()
        workspace = self._root.open_workspace()
        root = os.open(self._root.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _send(self._owner, {"ready": True}, workspace, root)
        os.close(workspace)
        os.close(root)
        try:
            while self._step():
                pass
        finally:
            self._end_all()
            self._root.disassemble()

    def _step(self) -> bool:
        owner = self._owner.fileno()
        ready, _, _ = select.select([owner, *self._commands], [], [])
        for reports in [number for number in ready if number != owner]:
            running = self._commands[reports]
            if not running.read_reports():
                del self._commands[reports]
                _send(self._owner, running.collect())
        return self._take_request() if owner in ready else True

    def _take_request(self) -> bool:
        message, descriptors = _receive(self._owner)
        if message is None:
            return False
        if "end" in message:
            for running in self._commands.values():
                if running.number == message["end"]:
                    running.end()
            return True
        request = {**message, **self._given}
        output, stdin = descriptors[0], descriptors[1] if len(descriptors) > 1 else None
        guard, reports = command.start(self._root, request, self._user_namespace, output, stdin, self._by)
        for descriptor in descriptors:
            os.close(descriptor)
        self._commands[reports] = _Command(message["run"], guard, reports)
        return True

    def _end_all(self) -> None:
        for running in self._commands.values():
            running.end()
        for running in self._commands.values():
            while running.read_reports():
                pass
            running.collect()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _send(owner: socket.socket, message: dict[str, Any], *descriptors: int) -> None:
    attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    try:
        owner.sendmsg([json.dumps(message).encode()], attached)
    except BrokenPipeError:
        return


def _receive(owner: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    try:
        content, descriptors, _, _ = socket.recv_fds(owner, _MAX_MESSAGE_BYTES, 2)
    except ConnectionResetError:
        return None, []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return (json.loads(content) if content else None), descriptors


def main() -> None:
    """Entry of the helper process: the socket is descriptor `sys.argv[1]`, the first packet is the spec."""
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    owner = socket.socket(fileno=int(sys.argv[1]))
    spec, _ = _receive(owner)
    if spec is None:
        return
    try:
        command.spare_from_oom()
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.make_mounts_private()
        keeper = Keeper(owner, spec)
        keeper.serve()
    except OSError as error:
        _send(owner, {"error": str(error)})
