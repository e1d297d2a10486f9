"""Migrations: plain SQL files in dbmate's format, run once each under a lock, with a checksum of what was run.

20260101000000_name.sql:   -- migrate:up
                           CREATE TABLE ...
                           -- migrate:down
                           DROP TABLE ...
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

from deborch_shared.db.pool import Connection, Database
from deborch_shared.errors import DeborchError, ErrorCode

_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>[a-z0-9_]+)\.sql\Z")
_LOCK_KEY = 0x6465626F726368  # "deborch"; all replicas of all versions agree on it
_NO_HURRY_S = 24 * 3600.0  # a migration of big tables, or the wait for a replica that runs one
_TABLES = """
CREATE TABLE IF NOT EXISTS schema_migrations (version varchar(128) PRIMARY KEY);
CREATE TABLE IF NOT EXISTS schema_migration_checksums (
  version varchar(128) PRIMARY KEY REFERENCES schema_migrations,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its version (14 digits), its name, what it runs, and its checksum."""

    version: str
    name: str
    up: str
    down: str
    sha256: str


def parse_migration(file_name: str, text: str) -> Migration:
    """One migration from its file; refuses a name or a text that dbmate would not take."""
    matched = _NAME.match(file_name)
    _, up_mark, rest = text.partition("-- migrate:up")
    up, _, down = rest.partition("-- migrate:down")
    if options := up.partition("\n")[0].strip():
        raise ValueError(f"{file_name}: the option {options!r} is not supported: each migration is one transaction")
    if matched is None or not up_mark:
        raise ValueError(f"{file_name}: not a migration in dbmate's format (14 digits, a name, `-- migrate:up`)")
    return Migration(matched["version"], matched["name"], up, down, hashlib.sha256(text.encode()).hexdigest())


class Migrator:
    """Brings a database to the newest schema of `package` (an import name that holds the files)."""

    def __init__(self, package: str) -> None:
        entries = [entry for entry in resources.files(package).iterdir() if entry.name.endswith(".sql")]
        found = [parse_migration(entry.name, entry.read_text("utf-8")) for entry in entries]
        self.migrations = sorted(found, key=lambda migration: migration.version)

    async def run(self, database: Database) -> list[str]:
        """Apply what is missing, each in a transaction of its own; returns the versions that were applied.

        Safe to call from all replicas at once: they take turns by an advisory lock.

        Raises:
            DeborchError: CONFLICT if a migration that was applied before has another text now.
        """
        applied: list[str] = []
        async with database.connection() as connection:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY, timeout=_NO_HURRY_S)
            try:
                await connection.execute(_TABLES)
                known = await self._known(connection)
                for migration in self.migrations:
                    if migration.version in known:
                        _check(migration, known[migration.version])
                        continue
                    async with connection.transaction():
                        await connection.execute(migration.up, timeout=_NO_HURRY_S)
                        await connection.execute("INSERT INTO schema_migrations VALUES ($1)", migration.version)
                        await connection.execute(
                            "INSERT INTO schema_migration_checksums (version, sha256) VALUES ($1, $2)",
                            migration.version,
                            migration.sha256,
                        )
                    applied.append(migration.version)
            finally:
                await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK_KEY)
                await connection.execute("RESET statement_timeout")
        return applied

    async def _known(
        self,
        connection: Connection,
    ) -> dict[str, str | None]:
        rows = await connection.fetch(
            "SELECT version, sha256 FROM schema_migrations LEFT JOIN schema_migration_checksums USING (version)"
        )
        return {row["version"]: row["sha256"] for row in rows}


def _check(migration: Migration, recorded: str | None) -> None:
    if recorded is not None and recorded != migration.sha256:
        raise DeborchError(
            ErrorCode.CONFLICT,
            f"migration {migration.version}_{migration.name} was applied with another text",
            hint="a released migration is never edited: restore the file and write a new one",
        )
