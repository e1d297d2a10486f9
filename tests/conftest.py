"""Fixtures for every test: a real PostgreSQL and a real RabbitMQ, private to the session, a fresh corner per test.

Servers are prepared once and kept below DEBORCH_TEST_CACHE (default ~/.cache/deborch-tests); a session starts
copies, so a start of PostgreSQL costs well under a second. Nothing is skipped for want of a program that
bin/test installs: such a test fails and says so.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from tests import workers

from deborch_cli.local.postgres import EmbeddedPostgres
from deborch_cli.local.rabbitmq import EmbeddedRabbitMQ
from deborch_cli.local.rabbitmq_files import RabbitMQFiles, find_or_unpack
from deborch_shared.errors import DeborchError

T = TypeVar("T")
signal.signal(signal.SIGINT, signal.default_int_handler)
"""A background shell ignores SIGINT and children inherit that; tests send it to programs as Ctrl-C would."""

SETUP_HINT = "bin/test --setup-only installs what the tests need"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> workers.Scheduler:
    return workers.Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers.in_order(items)
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root: makes namespaces, mounts and chroots"))


@pytest.fixture(scope="session")
def test_cache() -> Path:
    """Where prepared things are kept between sessions."""
    chosen = os.environ.get("DEBORCH_TEST_CACHE")
    cache = Path(chosen) if chosen else Path.home() / ".cache" / "deborch-tests"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache


@pytest.fixture(scope="session")
def postgres_template(test_cache: Path) -> Path:
    """A PostgreSQL directory, initialised and stopped: copy it and start `EmbeddedPostgres` on the copy."""
    template = test_cache / "postgres-18-v1"
    with exclusive(test_cache / "postgres.lock"):
        if not template.exists():
            unfinished = test_cache / f"postgres.{uuid.uuid4().hex}"
            run_now(start_and_stop(EmbeddedPostgres(unfinished, durable=False)))
            unfinished.rename(template)
    return template


@pytest.fixture(scope="session")
def postgres(postgres_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL server for the session. Do not stop or kill it: make your own from `postgres_template`."""
    directory = tmp_path_factory.mktemp("postgres") / "server"
    shutil.copytree(postgres_template, directory)
    server = EmbeddedPostgres(directory, durable=False)
    run_now(server.start())
    yield server
    run_now(server.stop())
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def new_database(postgres: EmbeddedPostgres) -> Iterator[Callable[..., str]]:
    """Make a fresh database, by default an empty one, and get its DSN: `new_database(template=name)`."""
    made: list[str] = []

    def make(template: str = "template1") -> str:
        name = f"test_{uuid.uuid4().hex}"
        run_now(execute(postgres.dsn("postgres"), f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        made.append(name)
        return postgres.dsn(name)

    yield make
    for name in made:
        run_now(execute(postgres.dsn("postgres"), f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
def database(new_database: Callable[..., str]) -> str:
    """DSN of a fresh, empty database."""
    return new_database()


@pytest.fixture(scope="session")
def rabbitmq_files(test_cache: Path) -> RabbitMQFiles:
    """RabbitMQ's programs, unpacked from Debian's packages if they are not installed."""
    with exclusive(test_cache / "rabbitmq.lock"):
        return run_now(find_or_unpack(test_cache / "rabbitmq"))


@pytest.fixture(scope="session")
def rabbitmq(rabbitmq_files: RabbitMQFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRabbitMQ]:
    """One RabbitMQ node for the session. Do not stop or kill it: make your own from `rabbitmq_files`."""
    broker = EmbeddedRabbitMQ(tmp_path_factory.mktemp("rabbitmq") / "node", rabbitmq_files)
    run_now(broker.start())
    yield broker
    run_now(broker.stop())


@pytest.fixture
def amqp_url(rabbitmq: EmbeddedRabbitMQ) -> Iterator[str]:
    """URL of a fresh virtual host, gone after the test."""
    vhost = f"test-{uuid.uuid4().hex}"
    run_now(rabbitmq.add_vhost(vhost))
    yield rabbitmq.url(vhost)
    run_now(rabbitmq.delete_vhost(vhost))


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on a loop of its own and in this thread: the children it starts live as long as this thread does."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        try:
            return runner.run(work)
        except DeborchError as error:
            pytest.fail(f"{error}\n{SETUP_HINT}", pytrace=False)


async def start_and_stop(server: EmbeddedPostgres) -> None:
    async with server:
        pass


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, so that sessions running at once prepare a thing only once."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
