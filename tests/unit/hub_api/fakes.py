"""The hub's API with nothing behind it but a directory: commands are written down, answers of the database given."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from deborch_hub.api import ApiDeps, build_hub_application
from deborch_hub.store.blobs import BlobStore
from deborch_hub.store.event_feed import EventFeed
from deborch_hub.store.logs import LogStore
from deborch_hub.store.ostree import OstreeStore
from deborch_shared.contract.builds import TaskRef
from deborch_shared.contract.hosts import HostRegistration
from deborch_shared.contract.states import TaskState
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Permission, Principal, Role

ADMIN = {"Authorization": "Bearer admin"}
VIEWER = {"Authorization": "Bearer viewer"}
BUILDER = {"Authorization": "Bearer builder1"}


class FakeVerifier:
    """Tokens that are names: a role's, `builder1` and `builder2`, `only:<permission>`, `all-but:<permission>`."""

    async def verify(self, token: str) -> Principal:
        kind, _, name = token.partition(":")
        if kind.startswith("builder"):
            return Principal(f"host:{kind}", frozenset({Role.BUILDER}), host=kind)
        if kind == "only":
            return Principal(token, frozenset(Role), frozenset({Permission(name)}))
        if kind == "all-but":
            return Principal(token, frozenset(Role), frozenset(Permission) - {Permission(name)})
        if kind in set(Role):
            return Principal(f"key:{kind}", frozenset({Role(kind)}))
        raise DeborchError(ErrorCode.UNAUTHENTICATED, "unknown token")


class FakeCommands:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, ...]] = []

    async def create_target(self, command, by):
        self.given.append(("create_target", command, by.subject))
        return command.name

    async def create_build(self, command, by, once):
        self.given.append(("create_build", command, by.subject, once))
        return 7

    async def create_task(self, command, by, once):
        self.given.append(("create_task", command, by.subject, once))
        return TaskRef(id=7, state=TaskState.FREE)

    async def cancel_build(self, build_id, by):
        self.given.append(("cancel_build", build_id, by.subject))

    async def cancel_task(self, task_id, by):
        self.given.append(("cancel_task", task_id, by.subject))

    async def give_back(self, build_id, command, by):
        self.given.append(("give_back", build_id, command, by.subject))

    async def register_host(self, command, by):
        self.given.append(("register_host", command, by.subject))
        return HostRegistration(id=1, name=command.name, queue="host.b", heartbeat_interval_s=5, lease_s=60)

    async def change_host(self, host, state, by):
        self.given.append(("change_host", host, state, by.subject))

    async def record_blob(self, sha256, size_bytes):
        self.given.append(("record_blob", sha256, size_bytes))


class FakeComposes:
    """Writes down what it is told about composes."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        async def note(*args: Any) -> int:
            self.given.append((name, *args))
            return 7

        return note


class FakeDatabase:
    """Answers each named query with the rows that it was given for it."""

    def __init__(self, answers: Mapping[str, list[dict[str, Any]]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        name = query.split("\n", 1)[0].removeprefix("-- ")
        self.asked.append((name, args))
        return self.answers.get(name, [])

    async def fetchrow(self, query: str, *args: Any) -> dict[str, Any] | None:
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None

    async def fetchval(self, query: str, *args: Any) -> Any:
        row = await self.fetchrow(query, *args)
        return next(iter(row.values())) if row else None


class Hub:
    """The application under test and what is behind it."""

    def __init__(self, data: Path, database: Any = None, *, max_log_bytes: int = 1 << 20) -> None:
        self.commands = FakeCommands()
        self.composes = FakeComposes()
        self.database = database or FakeDatabase()
        self.blobs = BlobStore(data / "blobs")
        self.logs = LogStore(data / "logs", max_log_bytes=max_log_bytes)
        self.feed = EventFeed(self.database, "")
        self.archives = data / "archives"
        self.deps = ApiDeps(
            commands=self.commands,
            composes=self.composes,
            database=self.database,
            blobs=self.blobs,
            logs=self.logs,
            ostree=OstreeStore(data / "ostree"),
            feed=self.feed,
            archive_root=self.archives,
            public_url="http://hub.test",
            key_fingerprint="F" * 40,
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[TestClient]:
        """A client that may do what an admin may, unless it says otherwise."""
        app = build_hub_application(self.deps, FakeVerifier(), {})
        async with TestClient(TestServer(app), headers=ADMIN) as client:
            yield client
