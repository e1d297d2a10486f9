"""Rows of the hub's tables, written directly."""

import hashlib
from typing import Any

import orjson

from deborch_shared.db import Database


class Rows:
    """Writes what a test is about and fills in the rest."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def target(self, name: str = "bookworm", architectures: tuple[str, ...] = ("amd64",)) -> int:
        await self.database.execute("INSERT INTO suite VALUES ('bookworm') ON CONFLICT DO NOTHING")
        target_id = await self.database.fetchval(
            "INSERT INTO target (name, suite, architectures, components)"
            " VALUES ($1, 'bookworm', $2, '{main}') RETURNING id",
            name,
            list(architectures),
        )
        await self.database.execute("INSERT INTO archive (target_id) VALUES ($1)", target_id)
        return int(target_id)

    async def build(self, target_id: int, source: str = "hello", *, state: str = "building", **columns: Any) -> int:
        ended = state in {"completed", "failed", "canceled"}
        return int(
            await self.database.fetchval(
                "INSERT INTO build (target_id, source_name, version, state, scratch, owner, message, generation,"
                " ended_at, source_version_id)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $9 THEN now() END, $10) RETURNING id",
                target_id,
                source,
                columns.get("version"),
                state,
                columns.get("scratch", False),
                columns.get("owner", "key:dev"),
                columns.get("message", ""),
                1 if state == "publishing" else None,
                ended,
                columns.get("source_version_id"),
            )
        )

    async def host(self, name: str = "b1", **columns: Any) -> int:
        return int(
            await self.database.fetchval(
                "INSERT INTO host (name, principal, state, online, architectures, tags, cpu, memory_bytes, disk_bytes,"
                " last_heartbeat_at, leaving)"
                " VALUES ($1, 'host:' || $1, $2, $3, $4, $5, $6, $7, $8, now(), $9) RETURNING id",
                name,
                columns.get("state", "enabled"),
                columns.get("online", True),
                columns.get("architectures", ["amd64"]),
                columns.get("tags", []),
                columns.get("cpu", 4),
                columns.get("memory_bytes", 8 << 30),
                columns.get("disk_bytes", 100 << 30),
                columns.get("leaving", False),
            )
        )

    async def requirement(self, architecture: str = "amd64", **columns: Any) -> int:
        return int(
            await self.database.fetchval(
                "INSERT INTO requirement (architecture, required_tags, cpu, memory_bytes, disk_bytes)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (architecture, required_tags, cpu, memory_bytes, disk_bytes)"
                " DO UPDATE SET cpu = excluded.cpu RETURNING id",
                architecture,
                columns.get("required_tags", []),
                columns.get("cpu", 1),
                columns.get("memory_bytes", 1 << 30),
                columns.get("disk_bytes", 1 << 30),
            )
        )

    async def task(
        self, state: str = "free", *, build_id: int | None = None, host_id: int | None = None, **columns: Any
    ) -> int:
        """A task, with its attempt if it has a host."""
        requirement_id = columns.get("requirement_id") or await self.requirement(**columns.get("demand", {}))
        attempt = columns.get("attempt", 1 if host_id else 0)
        task_id = await self.database.fetchval(
            "INSERT INTO task (build_id, kind, architecture, label, state, blocked_reason, missing, attempt, priority,"
            " requirement_id, host_id, lease_until, failure_class, message, ended_at, assigned_at, started_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
            " CASE WHEN $5 IN ('assigned', 'running') THEN now() END,"
            " $12, $13, CASE WHEN $5 IN ('completed', 'failed', 'canceled') THEN now() END,"
            " CASE WHEN $11::bigint IS NOT NULL THEN now() END, CASE WHEN $5 = 'running' THEN now() END) RETURNING id",
            build_id,
            columns.get("kind", "noop" if build_id is None else "build-package"),
            columns.get("architecture", "amd64"),
            columns.get("label", ""),
            state,
            columns.get("blocked_reason"),
            columns.get("missing", []),
            attempt,
            columns.get("priority", 0),
            requirement_id,
            host_id,
            columns.get("failure_class"),
            columns.get("message", ""),
        )
        if host_id is not None:
            await self.attempt(task_id, attempt, host_id, outcome=columns.get("outcome", _OUTCOMES.get(state)))
        return int(task_id)

    async def attempt(self, task_id: int, attempt: int, host_id: int, *, outcome: str | None = None) -> None:
        await self.database.execute(
            "INSERT INTO attempt (task_id, attempt, host_id, started_at, outcome, ended_at)"
            " VALUES ($1, $2, $3, now(), $4, CASE WHEN $4::text IS NOT NULL THEN now() END)",
            task_id,
            attempt,
            host_id,
            outcome,
        )

    async def blob(self, content: bytes) -> bytes:
        digest = hashlib.sha256(content).digest()
        await self.database.execute(
            "INSERT INTO blob (sha256, size_bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING", digest, len(content)
        )
        return digest

    async def artifact(self, task_id: int, build_id: int | None, name: str, content: bytes = b"x") -> int:
        return int(
            await self.database.fetchval(
                "INSERT INTO artifact (task_id, build_id, name, kind, sha256, size_bytes)"
                " VALUES ($1, $2, $3, 'deb', $4, $5) RETURNING id",
                task_id,
                build_id,
                name,
                await self.blob(content),
                len(content),
            )
        )

    async def event(
        self, kind: str = "task.created", *, task_id: int | None = None, build_id: int | None = None
    ) -> int:
        """One event in a transaction of its own; its number."""
        return int(await self.database.fetchval(INSERT_EVENT, kind, task_id, build_id, body_of(kind, task_id)))


_OUTCOMES = {
    "completed": "completed",
    "failed": "failed",
    "canceled": "canceled",
    "free": "freed",
    "blocked": "blocked",
}
INSERT_EVENT = "INSERT INTO event (type, task_id, build_id, body) VALUES ($1, $2, $3, $4) RETURNING seq"


def body_of(kind: str, task_id: int | None) -> str:
    return orjson.dumps({"specversion": "1.0", "type": kind, "data": {"task_id": task_id}}).decode()
