"""A pool of connections whose errors are ours: unavailable is temporary, everything else keeps its cause."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from deborch_shared.errors import DeborchError, ErrorCode, bounded
from deborch_shared.telemetry import step_span

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
_STATEMENT_TIMEOUT = "30s"
_IDLE_IN_TRANSACTION_TIMEOUT = "5s"
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InternalClientError,  # the server's last words came while nothing was asked: the link is about to close
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's errors into DATABASE_UNAVAILABLE (temporary), DISK_FULL, or INVALID_INPUT for a NUL."""
    try:
        yield
    except asyncpg.DiskFullError as error:
        raise DeborchError(
            ErrorCode.DISK_FULL,
            "the database's disk is full",
            hint="free space on the database server; nothing was lost",
        ) from error
    except asyncpg.CharacterNotInRepertoireError as error:
        raise DeborchError(
            ErrorCode.INVALID_INPUT,
            "a text holds a character that cannot be stored (such as NUL)",
            hint="send text without control characters",
        ) from error
    except _UNAVAILABLE as error:
        raise _unavailable(error) from error
    except asyncpg.InterfaceError as error:
        if "connection" not in str(error) and "pool" not in str(error):
            raise
        raise _unavailable(error) from error


def _unavailable(error: BaseException) -> DeborchError:
    return DeborchError(
        ErrorCode.DATABASE_UNAVAILABLE,
        f"the database does not answer: {bounded(str(error) or type(error).__name__, 200)}",
        hint="it is tried again by itself; see that PostgreSQL runs and is reachable",
    )


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind,
            schema="pg_catalog",
            encoder=lambda value: orjson.dumps(value).decode(),
            decoder=orjson.loads,
        )


async def _keep_as_it_is(_: Connection) -> None:
    """Spare the round trip that resets a session: no code here leaves settings, locks or listeners behind."""


class Database:
    """A pool of connections to one database. Use as an async context manager."""

    def __init__(self, dsn: str, *, application: str, min_size: int = 2, max_size: int = 10) -> None:
        self._dsn = dsn
        self._application = application
        self._sizes = (min_size, max_size)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> "Database":
        with translated_errors():
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=self._sizes[0],
                max_size=self._sizes[1],
                init=_prepare,
                reset=_keep_as_it_is,
                command_timeout=60,
                timeout=10,
                server_settings={
                    "application_name": self._application,
                    "statement_timeout": _STATEMENT_TIMEOUT,
                    "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_TIMEOUT,
                    "timezone": "UTC",
                    "jit": "off",
                },
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            raise RuntimeError("the database is not open: use `async with Database(...)`")
        return self._pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection, in autocommit."""
        with translated_errors():
            async with self.pool.acquire(timeout=10) as connection:
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()
                    raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One connection in a transaction: committed at the end, rolled back on any error."""
        with step_span("postgresql transaction"):
            async with self.connection() as connection, connection.transaction():
                yield connection

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:  # noqa: ANN401
        with step_span(_name_of(query)):
            async with self.connection() as connection:
                return list(await connection.fetch(query, *args))

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:  # noqa: ANN401
        with step_span(_name_of(query)):
            async with self.connection() as connection:
                return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:  # noqa: ANN401
        with step_span(_name_of(query)):
            async with self.connection() as connection:
                return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:  # noqa: ANN401
        with step_span(_name_of(query)):
            async with self.connection() as connection:
                return str(await connection.execute(query, *args))

    async def executemany(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        async with self.connection() as connection:
            await connection.executemany(query, rows)


def _name_of(query: str) -> str:
    """A named query begins with its name as a comment."""
    return f"postgresql {query[3 : query.find(chr(10))]}" if query.startswith("-- ") else "postgresql"
