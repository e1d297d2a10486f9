"""The auth database: each method is one statement or one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime

import asyncpg

from deborch_auth.domain.credentials import CredentialKind
from deborch_auth.domain.model import ApiKey, Enrolment
from deborch_auth.domain.signing import SigningKey
from deborch_shared.db import Connection, Database, Migrator, load_queries
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.security import Role

_ONE_KEY_OF_A_HOST = "api_key_one_active_of_a_host"


class Store:
    """Keys, enrolments and signing keys."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("deborch_auth.store")

    async def migrate(self) -> list[str]:
        return await Migrator("deborch_auth.store.migrations").run(self._database)

    async def ping(self) -> None:
        await self._database.fetchval("SELECT 1")

    async def add_key(self, key: ApiKey) -> None:
        async with self._database.connection() as connection:
            await self._insert_key(connection, key)

    async def key(self, key_id: str) -> ApiKey | None:
        row = await self._database.fetchrow(self._sql["key_by_id"], key_id)
        return _key(row) if row else None

    async def keys(self, *, before: int | None, limit: int) -> list[tuple[int, ApiKey]]:
        """Up to `limit` keys, newest first, each with the number to page on from."""
        rows = await self._database.fetch(self._sql["keys_page"], before, limit)
        return [(row["number"], _key(row)) for row in rows]

    async def active_key_of_host(self, host: str) -> ApiKey | None:
        row = await self._database.fetchrow(self._sql["active_key_of_host"], host)
        return _key(row) if row else None

    async def touch(self, key_id: str, now: datetime) -> None:
        await self._database.execute(self._sql["touch_key"], key_id, now)

    async def add_first_admin(self, make: Callable[[], ApiKey], now: datetime) -> ApiKey | None:
        """Add the key that `make` gives, unless an admin key is active; `make` runs while all replicas wait."""
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["lock_keys"])
            if await connection.fetch(self._sql["active_admins"], now):
                return None
            key = make()
            await self._insert_key(connection, key)
        return key

    async def revoke(self, key_id: str, *, now: datetime, by: str) -> ApiKey | None:
        """The key, revoked now or before; None if there is none.

        Raises:
            DeborchError: CONFLICT if it is the last that can administer.
        """
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["lock_keys"])
            admins = {row["id"] for row in await connection.fetch(self._sql["active_admins"], now)}
            if admins == {key_id}:
                raise DeborchError(
                    ErrorCode.CONFLICT,
                    f"key {key_id} is the last active admin key",
                    hint="make another admin key first, or nobody could administer any more",
                )
            row = await connection.fetchrow(self._sql["revoke_key"], key_id, now, by)
            row = row or await connection.fetchrow(self._sql["key_by_id"], key_id)
        return _key(row) if row else None

    async def add_enrolment(self, enrolment: Enrolment) -> None:
        await self._database.execute(
            self._sql["insert_enrolment"],
            enrolment.id,
            enrolment.host,
            enrolment.digest,
            enrolment.created_at,
            enrolment.created_by,
            enrolment.expires_at,
            enrolment.role,
        )

    async def enrolment(self, enrolment_id: str) -> Enrolment | None:
        row = await self._database.fetchrow(self._sql["enrolment_by_id"], enrolment_id)
        return _enrolment(row) if row else None

    async def redeem(self, enrolment: Enrolment, key: ApiKey, now: datetime) -> bool:
        """Spend `enrolment` on `key`, both or neither, once whoever races; False if it is spent or expired.

        Raises:
            DeborchError: NAME_TAKEN if the host has an active key, and then it is not spent.
        """
        async with self._database.transaction() as connection:
            if await connection.fetchval(self._sql["use_enrolment"], enrolment.id, now, key.id) is None:
                return False
            await self._insert_key(connection, key)
        return True

    async def signing_keys(self, now: datetime) -> list[SigningKey]:
        """The keys whose tokens may still be valid, the newest first."""
        return _signing_keys(await self._database.fetch(self._sql["valid_signing_keys"], now))

    async def newest_signing_key(self, now: datetime, make: Callable[[], SigningKey]) -> SigningKey:
        """The key that signs at `now`, made by `make` if there is none; one for all replicas."""
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["lock_signing_keys"])
            await connection.execute(self._sql["delete_expired_signing_keys"], now)
            kept = _signing_keys(await connection.fetch(self._sql["valid_signing_keys"], now))
            if kept and kept[0].signs_until > now:
                return kept[0]
            made = make()
            await connection.execute(
                self._sql["insert_signing_key"],
                made.id,
                dict(made.public),
                made.sealed,
                made.created_at,
                made.signs_until,
                made.expires_at,
            )
        return made

    async def _insert_key(self, connection: Connection, key: ApiKey) -> None:
        try:
            await connection.execute(
                self._sql["insert_key"],
                key.id,
                key.kind,
                key.name,
                key.role,
                sorted(key.scopes),
                key.host,
                key.digest,
                key.created_at,
                key.created_by,
                key.expires_at,
            )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == _ONE_KEY_OF_A_HOST:
                raise name_taken(str(key.host)) from error
            raise DeborchError(ErrorCode.ALREADY_EXISTS, f"key {key.id} is there already") from error


def name_taken(host: str) -> DeborchError:
    """The refusal of a second active key for one builder."""
    return DeborchError(
        ErrorCode.NAME_TAKEN,
        f"a builder called {host} has an active key",
        hint=f"choose another name; if {host} lost its key, revoke that one first and enrol it again",
    )


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=row["id"],
        kind=CredentialKind(row["kind"]),
        name=row["name"],
        role=Role(row["role"]),
        scopes=frozenset(row["scopes"]),
        host=row["host"],
        digest=row["digest"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )


def _enrolment(row: asyncpg.Record) -> Enrolment:
    return Enrolment(
        id=row["id"],
        host=row["host"],
        digest=row["digest"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        key_id=row["key_id"],
        role=Role(row["role"]),
    )


def _signing_keys(rows: Sequence[asyncpg.Record]) -> list[SigningKey]:
    return [
        SigningKey(
            id=row["id"],
            public=row["public"],
            sealed=row["sealed"],
            created_at=row["created_at"],
            signs_until=row["signs_until"],
            expires_at=row["expires_at"],
        )
        for row in rows
    ]
