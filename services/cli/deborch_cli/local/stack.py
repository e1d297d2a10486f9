"""The stack: what it consists of, in which order it starts, and where its parts are."""

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from deborch_cli.credentials import Credentials, known_credentials
from deborch_cli.local import ports
from deborch_cli.local.data_directory import DataDirectory, DirectoryLock
from deborch_cli.local.environments import (
    Endpoints,
    auth_environment,
    builder_environment,
    composer_environment,
    hub_environment,
)
from deborch_cli.local.files import MEBIBYTE, private_directory, read_json, require_space, write_json
from deborch_cli.local.instance_lock import wait_until_free
from deborch_cli.local.postgres import EmbeddedPostgres
from deborch_cli.local.rabbitmq import EmbeddedRabbitMQ
from deborch_cli.local.rabbitmq_files import find, find_or_unpack
from deborch_cli.local.service import Service, ServiceSpec
from deborch_cli.local.supervisor import Change, Notice, Supervisor
from deborch_cli.private_files import write_private
from deborch_cli.session import open_session
from deborch_shared.contract.auth import EnrolmentCreate, EnrolmentToken
from deborch_shared.errors import DeborchError, ErrorCode

NEEDED_BYTES = 2048 * MEBIBYTE
"""Room for base image, buildroot and a small build; the databases need little."""
_HUB_DATABASE = "DEBORCH_HUB_DATABASE_URL"
_AUTH_DATABASE = "DEBORCH_AUTH_DATABASE_URL"
_BROKER = "DEBORCH_AMQP_URL"
_BUILDER_CACHE = "DEBORCH_BUILDER_CACHE_DIR"
_ADMIN_KEY = "DEBORCH_AUTH_BOOTSTRAP_KEY_FILE"


class LocalStack:
    """PostgreSQL, RabbitMQ, auth, hub, one builder and one composer: `async with LocalStack(directory, tell) as stack`.

    A server of our own is left out where the environment names another: DEBORCH_HUB_DATABASE_URL and
    DEBORCH_AUTH_DATABASE_URL (both, then no PostgreSQL is started), DEBORCH_AMQP_URL.
    """

    def __init__(
        self,
        directory: Path,
        tell: Callable[[Notice], None],
        *,
        builder_name: str | None = None,
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.data = DataDirectory(directory.resolve())
        self.builder_name = builder_name or _host_name()
        self.composer_name = f"{self.builder_name[:54]}-composer"
        self.services: dict[str, Service] = {}
        self.postgres: EmbeddedPostgres | None = None
        self.rabbitmq: EmbeddedRabbitMQ | None = None
        self._given = dict(os.environ if given is None else given)
        self._exit = AsyncExitStack()
        self._tell = tell
        self._supervisor = Supervisor(tell)
        self._endpoints: Endpoints | None = None

    @property
    def endpoints(self) -> Endpoints:
        """Where everything is, once it has been started."""
        if self._endpoints is None:
            raise DeborchError(ErrorCode.SERVICE_UNAVAILABLE, "the stack was not started", hint="start it first")
        return self._endpoints

    @property
    def stopping(self) -> bool:
        """True from the moment that it begins to stop its parts."""
        return self._supervisor.stopping

    def kill(self) -> None:
        """SIGKILL for every part that still runs, as a crash would; the next start recovers."""
        self._supervisor.kill()

    def admin_credentials(self) -> Credentials:
        """The first admin's; if that key's file was removed, those that the command line is logged in with.

        Raises:
            DeborchError: UNAUTHENTICATED if there are neither.
        """
        try:
            key = self.admin_key.read_text().strip()
        except FileNotFoundError as error:
            kept = known_credentials().get("api_key")
            if kept is None:
                raise DeborchError(
                    ErrorCode.UNAUTHENTICATED,
                    f"{self.admin_key} is not there any more, and the command line is not logged in",
                    hint="log in with the API key that you kept: deborch login"
                    f" --hub-url {self.endpoints.hub_url} --auth-url {self.endpoints.auth_url}",
                ) from error
            key = kept
        return Credentials(self.endpoints.hub_url, self.endpoints.auth_url, key)

    @property
    def admin_key(self) -> Path:
        """The file of the first admin key."""
        return Path(self._given.get(_ADMIN_KEY) or self.data.admin_key)

    @property
    def builder_cache(self) -> Path:
        """Where the builder has its base images."""
        return Path(self._given.get(_BUILDER_CACHE) or self.data.builder / "mock" / "cache")

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.__aexit__(kind, error, trace)

    async def _start(self) -> None:
        private_directory(self.data.root)
        self._exit.enter_context(DirectoryLock(self.data.lock))
        require_space(self.data.root, NEEDED_BYTES, "the stack")
        await self._exit.enter_async_context(self._supervisor)
        auth_database_url, hub_database_url = await self._databases()
        amqp_url = await self._broker()
        auth_port, hub_port = await self._choose_ports()
        self._endpoints = Endpoints(auth_database_url, hub_database_url, amqp_url, auth_port, hub_port)
        await self._run("auth", lambda: auth_environment(self.endpoints, self.data, self._given))
        await self._run("hub", lambda: hub_environment(self.endpoints, self.data, self._given))
        await self._run_workers()

    async def _databases(self) -> tuple[str, str]:
        """URLs of the databases of auth and hub."""
        theirs = {name: self._given[name] for name in (_AUTH_DATABASE, _HUB_DATABASE) if self._given.get(name)}
        if len(theirs) < 2:
            self.postgres = EmbeddedPostgres(
                self.data.postgres, databases=("hub", "auth"), log=self.data.log("postgres")
            )
            await self._supervisor.start(self.postgres)
            theirs = {
                _AUTH_DATABASE: self.postgres.dsn("auth"),
                _HUB_DATABASE: self.postgres.dsn("hub"),
                **theirs,
            }
        return theirs[_AUTH_DATABASE], theirs[_HUB_DATABASE]

    async def _broker(self) -> str:
        if theirs := self._given.get(_BROKER):
            return theirs
        if find(self.data.rabbitmq_files) is None:
            self._tell(Notice("RabbitMQ", Change.FETCHING, "Debian's package, unpacked for this stack alone"))
        files = await find_or_unpack(self.data.rabbitmq_files)
        self.rabbitmq = EmbeddedRabbitMQ(self.data.rabbitmq, files, log=self.data.log("rabbitmq"))
        await self._supervisor.start(self.rabbitmq)
        return self.rabbitmq.url()

    async def _choose_ports(self) -> tuple[int, int]:
        """For auth and hub: what the user set, else those of last time, else free ones. Archive URLs should stay."""
        kept = read_json(self.data.state).get("ports", {})
        chosen = {name: await self._choose_port(name, kept.get(name)) for name in ("auth", "hub")}
        write_json(self.data.state, {"ports": chosen})
        return chosen["auth"], chosen["hub"]

    async def _choose_port(self, name: str, kept: int | None) -> int:
        await wait_until_free(self.data.instance_lock(name), name)
        variable = f"DEBORCH_{name.upper()}_PORT"
        fixed = _port(variable, self._given.get(variable))
        if fixed and not ports.is_free(fixed):
            raise DeborchError(
                ErrorCode.PORT_TAKEN,
                f"port {fixed} is taken by another process",
                hint=f"stop that process, or set {variable} to another port; without it a free one is taken",
            )
        return fixed or ports.kept_or_free([kept] if kept else [], 1)[0]

    async def _run(self, name: str, environment: Callable[[], Mapping[str, str]]) -> None:
        spec = ServiceSpec(
            name=name,
            argv=[sys.executable, "-m", f"deborch_{name}"],
            environment=environment,
            port_file=self.data.port_file(name),
            log=self.data.log(name),
            lock=self.data.instance_lock(name),
        )
        self.services[name] = Service(spec)
        await self._supervisor.start(self.services[name])

    async def _run_workers(self) -> None:
        """Builder and composer."""
        data, builder, composer = self.data, self.builder_name, self.composer_name
        if not data.builder_key.exists():
            await self._allow(EnrolmentCreate(host=builder, expires_in_s=600), data.enrolment_token)
        if not data.composer_key.exists():
            wanted = EnrolmentCreate(host=composer, role="composer", expires_in_s=600)
            await self._allow(wanted, data.composer_enrolment_token)
        await self._run("builder", lambda: builder_environment(self.endpoints, data, builder, self._given))
        await self._run("composer", lambda: composer_environment(self.endpoints, data, composer, self._given))

    async def _allow(self, wanted: EnrolmentCreate, token: Path) -> None:
        """At the first start, have the admin permit our builder or composer to enrol."""
        async with open_session(self.admin_credentials()) as session:
            try:
                permit = await session.auth.post("/api/v1/enrolments", EnrolmentToken, wanted)
            except DeborchError as error:
                if error.code is ErrorCode.NAME_TAKEN and _is_there(token):
                    return  # Spent by one that died before it wrote its key: it gets the same one for it again.
                raise
        write_private(token, permit.enrolment_token)


def _is_there(path: Path) -> bool:
    return path.exists()


def _port(variable: str, text: str | None) -> int:
    """0 if it is not set."""
    if not text:
        return 0
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise DeborchError(
            ErrorCode.INVALID_SETTING,
            f"{variable}={text!r} is no port",
            hint="set it to a number from 1 to 65535, or leave it out: a free port is taken",
        )
    return int(text)


def _host_name() -> str:
    """This machine's name as a builder's name: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9-]+", "-", platform.node().split(".")[0].lower()).strip("-") or "local"
