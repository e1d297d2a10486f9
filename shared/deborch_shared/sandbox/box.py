"""The sandbox as its users see it: open it, run commands in it, leave it, and nothing stays."""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from deborch_shared.cancellation import to_the_end
from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.process import DEFAULT_MAX_OUTPUT_BYTES, OutputSink, ProcessResult, follow, readable
from deborch_shared.sandbox import backends, seccomp
from deborch_shared.sandbox.cgroups.group import ControlGroup
from deborch_shared.sandbox.cgroups.hierarchies import find
from deborch_shared.sandbox.keeper_link import KeeperLink
from deborch_shared.sandbox.record import ProcessIdentity, Record, claim, remove
from deborch_shared.sandbox.spec import CLEAN_ENVIRONMENT, Filtering, Limits, SandboxSpec, work_directory
from deborch_shared.sandbox.terminal import UserTerminal
from deborch_shared.sandbox.usage import Meter

_DEFAULT_KEPT_BYTES = 4 << 20


class _SandboxedCommand:
    """A command in a sandbox, as `deborch_shared.process.follow` wants it."""

    def __init__(self, link: KeeperLink, argv: Sequence[str], request: Mapping[str, Any], stdin: int | None) -> None:
        self._link = link
        self._argv = argv
        self._output, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write_end, True)
        try:
            self._number, self._ended = link.start(request, write_end, *(() if stdin is None else (stdin,)))
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(write_end)

    async def read(self, limit_bytes: int) -> bytes:
        while True:
            try:
                return os.read(self._output, limit_bytes)
            except BlockingIOError:
                await readable(self._output)

    async def exited(self) -> None:
        await asyncio.shield(self._ended)

    def kill_group(self) -> None:
        self._link.end(self._number)

    async def end(self, grace_s: float) -> None:  # noqa: ARG002 - there is nobody to be gentle with: the root vanishes
        try:
            self.kill_group()
            await self.exited()
        finally:
            os.close(self._output)

    def reap(self) -> tuple[int, float]:
        os.close(self._output)
        outcome = self._ended.result()
        if outcome["error"] is None:
            return int(outcome["returncode"]), float(outcome["cpu_s"])
        raise _not_run(self._argv[0], outcome)


def _not_run(program: str, outcome: Mapping[str, Any]) -> DeborchError:
    if outcome["missing"]:
        return DeborchError(
            ErrorCode.PROCESS_FAILED,
            f"{program} could not be started in the sandbox: {bounded(outcome['error'])}",
            hint="the root of the sandbox lacks the package that holds it",
            reason="start",
            returncode=None,
            output="",
        )
    return DeborchError(
        ErrorCode.SANDBOX_FAILED,
        f"the sandbox could not run {program}: {bounded(outcome['error'])}",
        hint="the message names the system call that the kernel refused",
    )


class Sandbox:
    """An assembled root in which commands run, each in namespaces of its own."""

    def __init__(self, link: KeeperLink, spec: SandboxSpec, group: ControlGroup) -> None:
        self._link = link
        self._spec = spec
        self._group = group
        self._kept_as: Path | None = None

    def keep_changes_as(self, path: Path) -> None:
        """On leaving, once the overlay is unmounted, rename `spec.upper` to `path`, unless that exists by then."""
        if self._spec.upper is None:
            raise ValueError("only a sandbox with an upper directory of its own can keep its changes")
        self._kept_as = path

    def settle_changes(self) -> None:
        """Do what `keep_changes_as` asked for; called once everything is unmounted."""
        if self._kept_as is not None and self._spec.upper is not None and not self._kept_as.exists():
            self._spec.upper.rename(self._kept_as)

    @property
    def workspace_fd(self) -> int:
        """Descriptor of the workspace directory. What is in it is foreign: open with O_NOFOLLOW, by plain names."""
        return self._link.workspace_fd

    @property
    def workspace(self) -> str:
        """Where the workspace is inside."""
        return self._spec.workspace

    @property
    def root_fd(self) -> int:
        """Descriptor of the assembled root. Foreign too: an absolute link in it points into the host from outside."""
        return self._link.root_fd

    @property
    def keeper_pid(self) -> int:
        return self._link.pid

    @property
    def limits(self) -> Limits:
        return self._spec.limits

    @property
    def scratch_bytes(self) -> int | None:
        """Size of the tmpfs for workspace and changes; None: they are on a disk."""
        return self._spec.scratch_bytes

    def meter(self) -> Meter:
        """Count what everything in this sandbox uses from now on. One at a time: a new one starts the peak anew."""
        return Meter(self._group, self._scratch_bytes, lambda: self._link.moved_bytes)

    def free_bytes(self) -> int:
        """What the file system of workspace and changes has left."""
        usage = os.fstatvfs(self.workspace_fd)
        return usage.f_bavail * usage.f_frsize

    def _scratch_bytes(self) -> int | None:
        if self._spec.scratch_bytes is None:
            return None
        usage = os.fstatvfs(self.workspace_fd)
        return (usage.f_blocks - usage.f_bfree) * usage.f_frsize

    async def run(
        self,
        argv: Sequence[str],
        *,
        uid: int = 0,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
        stdin: int | None = None,
        on_output: OutputSink | None = None,
        timeout_s: float | None = None,
        max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES,
        kept_bytes: int = _DEFAULT_KEPT_BYTES,
        check: bool = True,
    ) -> ProcessResult:
        """Run `argv` as `uid` and wait until it and everything that it started are gone.

        Mount, pid, ipc, uts, cgroup and (without `network`) net namespaces are new for each command. With
        `network` it sees the host's network, /etc/resolv.conf and /etc/hosts. uid 0 keeps a few capabilities,
        any other uid none, with no_new_privs. `env` is added to CLEAN_ENVIRONMENT.
        `stdin` is given away to what runs inside: a pipe, never a terminal or a file of the host. The rest is as in
        `deborch_shared.process.run`, except that an early end is always SIGKILL.

        Raises:
            DeborchError: what `process.run` raises, and SANDBOX_FAILED if the kernel refused an isolation.
        """
        return await follow(
            _SandboxedCommand(self._link, argv, _request(argv, uid, cwd, env, network), stdin),
            argv,
            on_output=on_output,
            timeout_s=timeout_s,
            max_output_bytes=max_output_bytes,
            kept_bytes=kept_bytes,
            check=check,
        )

    async def run_in_terminal(
        self,
        argv: Sequence[str],
        terminal: UserTerminal,
        *,
        uid: int = 0,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
    ) -> int:
        """Run `argv` as `run` does, on a terminal inside that is joined to the user's; its exit code.

        Raises:
            DeborchError: what `run` raises if it could not be started.
        """
        backends.check_terminal(self._spec)
        request = {**_request(argv, uid, cwd, env, network), "terminal": terminal.size()}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            with theirs:
                number, ended = self._link.start(request, theirs.fileno())
            try:
                await readable(ours.fileno())
                _, masters, _, _ = socket.recv_fds(ours, 1, 1)
                for master in masters:
                    await _relay(terminal, master)
                outcome = await asyncio.shield(ended)
            finally:
                self._link.end(number)
                await asyncio.shield(ended)
        if outcome["error"] is None:
            return int(outcome["returncode"])
        raise _not_run(argv[0], outcome)


def _request(argv: Sequence[str], uid: int, cwd: str, env: Mapping[str, str] | None, network: bool) -> dict[str, Any]:
    environment = {**CLEAN_ENVIRONMENT, **(env or {})}
    return {"argv": list(argv), "uid": uid, "cwd": cwd, "env": environment, "network": network}


async def _relay(terminal: UserTerminal, master: int) -> None:
    try:
        with terminal.raw():
            await terminal.relay(master)
    finally:
        os.close(master)


@asynccontextmanager
async def open_sandbox(spec: SandboxSpec) -> AsyncIterator[Sandbox]:
    """Assemble the root of `spec`; on leaving, end everything in it and remove its directory.

    The record of the sandbox is kept in the parent of `spec.directory`; `record.recover` of that directory removes
    what is left if this process is killed.

    Raises:
        DeborchError: SANDBOX_FAILED, or ALREADY_EXISTS if a sandbox of that name is in use.
    """
    backends.check(spec.backend)
    backends.check_filtering(spec)
    calls = seccomp.for_spec(spec)
    message = {
        **spec.to_message(),
        "filter": None if calls is None else base64.b64encode(calls).decode(),
        "filter_required": spec.filtering is Filtering.REQUIRED,
    }
    state_dir = spec.directory.parent
    group = ControlGroup(spec.directory.name, spec.limits, find())
    entry = _claim(spec, group)
    try:
        _create(group, spec.directory)
        link = KeeperLink(spec.directory / "keeper.log")
        sandbox = Sandbox(link, spec, group)
        try:
            entry = replace(entry, keeper=_identity(link.pid))
            await entry.write_durably(state_dir)
            await _open(link, group, message)
            yield sandbox
        finally:
            await link.close()
        sandbox.settle_changes()
    finally:
        await remove(state_dir, replace(entry, keeper=None))


async def _open(link: KeeperLink, group: ControlGroup, message: Mapping[str, Any]) -> None:
    """Assemble the root; meanwhile the keeper, and so what it will fork, moves into the group."""
    joining = asyncio.create_task(asyncio.to_thread(_join, group, link.pid))
    try:
        await link.open(message)
    except BaseException:
        await to_the_end(_ended(joining))
        raise
    await joining


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)


def _create(group: ControlGroup, directory: Path) -> None:
    try:
        group.create(directory.stat().st_dev)
    except OSError as error:
        raise _group_failure(error) from error


def _join(group: ControlGroup, pid: int) -> None:
    try:
        group.add(pid)
    except OSError as error:
        raise _group_failure(error) from error


def _group_failure(error: OSError) -> DeborchError:
    return DeborchError(
        ErrorCode.SANDBOX_FAILED,
        f"the control group cannot be made: {error}",
        hint="the message names the limit or the file that the kernel refused",
    )


def _claim(spec: SandboxSpec, group: ControlGroup) -> Record:
    """Record the sandbox, then make its directory."""
    if spec.directory.exists():
        raise DeborchError(
            ErrorCode.ALREADY_EXISTS,
            f"{spec.directory} is in use",
            hint="wait for its owner to end, or clean up if the owner was killed",
        )
    paths = [spec.directory]
    if spec.upper is not None:
        paths += [work_directory(spec.upper), *(() if spec.persistent else (spec.upper,))]
    entry = claim(spec.directory.parent, spec.directory.name, paths, group.paths)
    spec.directory.mkdir(mode=0o700)
    return entry


def _identity(pid: int) -> ProcessIdentity | None:
    try:
        return ProcessIdentity.of(pid)
    except ProcessLookupError:
        return None
