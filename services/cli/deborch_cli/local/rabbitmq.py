"""A private RabbitMQ node as a child process, with an Erlang port mapper of its own.

It listens on the loopback address only. There is one user, made at the first start with a random password; its
salted hash reaches RabbitMQ in a definitions file, so no password is on a command line and `guest` never exists.
"""

import asyncio
import base64
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

from deborch_cli.local import ports
from deborch_cli.local.files import (
    MEBIBYTE,
    disk_full,
    new_password,
    private_directory,
    read_json,
    require_space,
    write_json,
)
from deborch_cli.local.instance_lock import wait_until_free
from deborch_cli.local.rabbitmq_files import RabbitMQFiles
from deborch_cli.local.server_process import ServerProcess
from deborch_cli.private_files import write_private
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import run

USER = "deborch"
NEEDED_BYTES = 200 * MEBIBYTE
_NODE = f"deborch@{ports.LOOPBACK}"  # an address, so that no resolver has a say
_START_ATTEMPTS = 3
_STOP_GRACE_S = 30.0
_EPMD_GRACE_S = 2.0
_EPMD_CHECKS = 500
_VHOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ERROR_LINE = re.compile(r"\[error\] <[0-9.]+> (?P<text>.*\S)")
_SHOWN_ERRORS = 12  # the first ones tell the cause, the later ones are Erlang's own account of it
_AMQP_0_9_1 = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = 1


class EmbeddedRabbitMQ:
    """One node over one directory: `async with EmbeddedRabbitMQ(directory, files) as broker`.

    Args:
        files: from `rabbitmq_files.find_or_unpack`.
        port: listen for AMQP here and nowhere else; None takes the ports of last time or free ones.
        settings: more of rabbitmq.conf.
        log: file for its output; default is rabbitmq.log in `directory`.
    """

    def __init__(
        self,
        directory: Path,
        files: RabbitMQFiles,
        *,
        port: int | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        log: Path | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        self.directory = directory.resolve()
        self.log = log or self.directory / "rabbitmq.log"
        self._files = files
        self._fixed_port = port
        self._settings = dict(settings)
        self._start_timeout_s = start_timeout_s
        self._password = ""
        self._ports: list[int] = []
        self._server: ServerProcess | None = None
        self._port_mapper: ServerProcess | None = None

    @property
    def name(self) -> str:
        return "RabbitMQ"

    @property
    def port(self) -> int:
        """Where it speaks AMQP."""
        return self._ports[0]

    @property
    def server(self) -> ServerProcess:
        """The Erlang virtual machine that is the node.

        Raises:
            DeborchError: SERVICE_UNAVAILABLE if it was never started.
        """
        if self._server is None:
            raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "RabbitMQ was not started", hint="call start() first")
        return self._server

    def url(self, vhost: str = "/") -> str:
        """URL with user and password."""
        return f"amqp://{USER}:{quote(self._password)}@{ports.LOOPBACK}:{self.port}/{quote(vhost, safe='')}"

    async def start(self) -> None:
        """Start and wait until it answers AMQP clients.

        Raises:
            DeborchError: PORT_TAKEN, DISK_FULL or SERVICE_UNAVAILABLE with the end of its log.
        """
        private_directory(self.directory)
        require_space(self.directory, NEEDED_BYTES, "RabbitMQ")
        for lock in ("node", "epmd"):
            await wait_until_free(self._lock(lock), f"RabbitMQ ({lock})")
        self._load_state()
        for attempt in range(_START_ATTEMPTS):
            self._choose_ports(keep=attempt == 0)
            self._write_configuration()
            await self._launch()
            if await self._ready():
                return
            await self.stop()
            if not self._lost_race_for_port():
                break
        raise self._start_failure()

    async def stop(self) -> None:
        """End it cleanly: queues are closed and synced."""
        try:
            if self._server is not None:
                await self._server.stop(grace_s=_STOP_GRACE_S)
        finally:
            if self._port_mapper is not None:
                await self._port_mapper.stop(grace_s=_EPMD_GRACE_S)

    async def wait(self) -> int:
        """Wait until the node ends by itself; its exit code."""
        return await self.server.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash would; `start` then recovers."""
        if self._server is not None:
            self._server.kill()
        if self._port_mapper is not None:
            self._port_mapper.kill()

    async def add_vhost(self, name: str) -> None:
        """Make a virtual host that our user may use; 20 ms, where rabbitmqctl takes a second or two."""
        await self._call(
            f'rabbit_vhost:add(<<"{_checked(name)}">>, <<"{USER}">>), '
            f'rabbit_auth_backend_internal:set_permissions(<<"{USER}">>, <<"{name}">>, '
            f'<<".*">>, <<".*">>, <<".*">>, <<"{USER}">>).'
        )

    async def delete_vhost(self, name: str) -> None:
        """Remove a virtual host with all its queues; connections to it are closed."""
        await self._call(f'rabbit_vhost:delete(<<"{_checked(name)}">>, <<"{USER}">>).')

    async def close_connections(self) -> None:
        """Cut every client off, as a network fault would; the node stays up."""
        await self._call(
            '[rabbit_networking:close_connection(C, "closed") || C <- rabbit_networking:connections()], ok.'
        )

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _load_state(self) -> None:
        state = read_json(self.directory / "state.json")
        self._ports = list(state.get("ports", []))
        self._password = state.get("password") or new_password()

    def _lock(self, name: str) -> Path:
        return self.directory / f"{name}.lock"

    def _choose_ports(self, *, keep: bool) -> None:
        chosen = ports.kept_or_free(self._ports if keep else [], 3)
        if self._fixed_port is not None:
            if not ports.is_free(self._fixed_port):
                raise DeborchError(
                    ErrorCode.PORT_TAKEN,
                    f"RabbitMQ cannot listen on port {self._fixed_port}: another process does",
                    hint="stop that process, or leave the port out to have a free one chosen",
                )
            chosen[0] = self._fixed_port
        self._ports = chosen
        write_json(self.directory / "state.json", {"ports": self._ports, "password": self._password})

    def _write_configuration(self) -> None:
        home = private_directory(self.directory / "home")
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, secrets.token_hex(20))
            cookie.chmod(0o400)
        programs = private_directory(self.directory / "bin")
        write_private(programs / "erl", self._erl_script())
        (programs / "erl").chmod(0o700)
        write_json(self.directory / "definitions.json", definitions(self._password))
        write_private(self.directory / "enabled_plugins", "[].\n")
        settings = {
            "listeners.tcp.1": f"{ports.LOOPBACK}:{self.port}",
            "load_definitions": str(self.directory / "definitions.json"),
            "log.console": "true",
            "log.console.use_colors": "off",
            "log.file": "false",
            **self._settings,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        write_private(self.directory / "rabbitmq.conf", lines)

    def _erl_script(self) -> str:
        """Debian's `erl` has its place written in; this one is told."""
        runtime = self._files.erts
        return (
            "#!/bin/sh\n"
            f"export ROOTDIR='{runtime.parent}' BINDIR='{runtime}/bin' EMU=beam PROGNAME=erl\n"
            f"exec '{runtime}/bin/erlexec' \"$@\"\n"
        )

    def _environment(self) -> dict[str, str]:
        amqp_port, distribution_port, mapper_port = self._ports
        del amqp_port
        directory = self.directory
        environment = {
            "HOME": str(directory / "home"),
            "PATH": f"{directory}/bin:{os.environ.get('PATH', os.defpath)}",
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_ADDRESS": ports.LOOPBACK,
            "ERL_EPMD_PORT": str(mapper_port),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(directory / "feature_flags"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            # busy waiting of idle schedulers off: an idle node uses no CPU
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
            # makes the start script exec the virtual machine instead of watching over it: one process, our signals
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        if libraries := self._files.libraries:
            environment["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
        return environment

    async def _launch(self) -> None:
        environment = self._environment()
        mapper = [str(self._files.erts / "bin/epmd"), "-address", ports.LOOPBACK, "-port", str(self._ports[2])]
        self._port_mapper = ServerProcess.start("epmd", mapper, log=self.log, lock=self._lock("epmd"), env=environment)
        for _ in range(_EPMD_CHECKS):
            if await _listens(self._ports[2]):
                break
            await asyncio.sleep(0.01)
        self._server = ServerProcess.start(
            self.name, [str(self._files.server)], log=self.log, lock=self._lock("node"), env=environment
        )

    async def _ready(self) -> bool:
        """True once it answers an AMQP greeting, which it does when it has recovered; False if it ended first."""
        try:
            async with asyncio.timeout(self._start_timeout_s):
                while self.server.running:
                    if await _greets(self.port):
                        return True
                    await asyncio.sleep(0.03)
        except TimeoutError:
            failure = self.server.failure(f"was not ready within {self._start_timeout_s:g} s")
            await self.stop()
            raise failure from None
        return False

    def _lost_race_for_port(self) -> bool:
        return self._fixed_port is None and self._said("eaddrinuse")

    def _start_failure(self) -> DeborchError:
        if self._said("enospc"):
            return disk_full(self.directory, "RabbitMQ stopped because the disk is full")
        errors = [found["text"] for line in self.server.log_lines() if (found := _ERROR_LINE.search(line))]
        return self.server.failure("did not start", errors[:_SHOWN_ERRORS])

    def _said(self, text: str) -> bool:
        return any(text in line for line in self.server.log_lines())

    async def _call(self, expression: str) -> None:
        """Evaluate Erlang in the node; the cookie is read from our HOME, so it is on no command line."""
        result = await run(
            [str(self._files.erts / "bin/erl_call"), "-n", _NODE, "-e"],
            env=self._environment(),
            stdin=f"{expression}\n".encode(),
            timeout_s=30,
        )
        if b"ok" not in result.output:
            raise DeborchError(
                ErrorCode.BROKER_UNAVAILABLE,
                f"RabbitMQ refused an order: {result.output.decode('utf-8', 'replace').strip()}",
                hint=f"its log is {self.log}",
            )


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(ports.LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def _greets(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(ports.LOOPBACK, port)
    except OSError:
        return False
    try:
        writer.write(_AMQP_0_9_1)
        async with asyncio.timeout(5):
            answer = await reader.read(1)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
    return answer == bytes([_METHOD_FRAME])


def definitions(password: str) -> dict[str, object]:
    salt = os.urandom(4)
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [
            {
                "name": USER,
                "password_hash": digest,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "administrator",
            }
        ],
        "vhosts": [{"name": "/"}],
        "permissions": [{"user": USER, "vhost": "/", **everything}],
    }


def _checked(vhost: str) -> str:
    if not _VHOST_NAME.fullmatch(vhost):
        raise DeborchError(
            ErrorCode.INVALID_INPUT, f"{vhost!r} is no name for a virtual host", hint="use a-z, 0-9, - and _"
        )
    return vhost
