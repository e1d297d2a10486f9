"""The whole stack as `deborch up` runs it: all real, one data directory."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deborch_cli.local.rabbitmq_files import RabbitMQFiles
from deborch_cli.local.stack import LocalStack
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.http import ApiClient

pytestmark = [pytest.mark.root, pytest.mark.slow]

RUN_STACK = """
import asyncio, sys
from pathlib import Path
from deborch_cli.local.stack import LocalStack
async def main():
    async with LocalStack(Path(sys.argv[1]), lambda notice: None) as stack:
        print(stack.endpoints.hub_url, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""

START_AND_STOP = """
import sys, typer
from pathlib import Path
from deborch_cli.local.up import with_stack
async def use(stack, narrator):
    pass
data = Path(sys.argv.pop())
typer.run(lambda: with_stack(data, "b1", use))
"""


@pytest.fixture
def data(tmp_path: Path, rabbitmq_files: RabbitMQFiles) -> Path:
    """A data directory where RabbitMQ's programs need not be fetched again."""
    directory = tmp_path / "data"
    (directory / "software").mkdir(parents=True)
    if rabbitmq_files.unpacked:
        (directory / "software/rabbitmq").symlink_to(rabbitmq_files.root)
    return directory


async def test_the_stack_comes_up_heals_and_is_picked_up_again_where_it_was(data, monkeypatch):
    monkeypatch.setenv("DEBORCH_CONFIG_DIR", str(data.parent / "config"))
    before = children_of(os.getpid())
    async with LocalStack(data, lambda notice: None) as stack:
        first = stack.endpoints
        await require_ready(first.hub_url)
        with pytest.raises(DeborchError, match="a stack already runs") as caught:
            await LocalStack(data, lambda notice: None).__aenter__()
        assert caught.value.code is ErrorCode.CONFLICT
        stack.services["hub"].kill()
        async with asyncio.timeout(30):
            await require_ready(first.hub_url)
        assert_secrets_are_kept(stack)
    assert children_of(os.getpid()) == before
    async with LocalStack(data, lambda notice: None) as stack:
        assert repr(stack.endpoints) == repr(first)
        await require_ready(first.hub_url)


async def test_after_kill_9_nothing_is_left_and_the_next_start_works(data, monkeypatch):
    monkeypatch.setenv("DEBORCH_CONFIG_DIR", str(data.parent / "config"))
    with start_in_process_of_its_own(data) as process:
        hub_url = process.stdout.readline().strip()
        left = children_of(process.pid)
        process.kill()
    assert hub_url
    assert len(left) == 7
    key = (data / "builder.key").read_text()
    died_while_enrolling(data, key)
    async with LocalStack(data, lambda notice: None) as stack:
        assert stack.endpoints.hub_url == hub_url
        assert not [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert (data / "builder.key").read_text() == key


def test_signals_that_insist_while_rabbitmq_stops_kill_what_is_left_of_the_stack(data):
    environment = {**os.environ, "DEBORCH_CONFIG_DIR": str(data.parent / "config")}
    command = [sys.executable, "-c", START_AND_STOP, str(data)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        said = []
        while "auth stopped" not in "".join(said):
            said.append(process.stdout.readline())
        left = children_of(process.pid)
        for _ in range(2):
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
        said += process.stdout.readlines()
    assert "PostgreSQL stopped" in "".join(said)
    assert len(left) == 3
    assert not [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def died_while_enrolling(data: Path, key: str) -> None:
    """Make it look as if the kill had come when auth had given the builder its key and none was written."""
    (data / "builder.key").rename(data / "builder.key.enrolling")
    (data / "builder.key.enrolling").write_text(key.strip()[-43:])


def start_in_process_of_its_own(data: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", RUN_STACK, str(data)], stdout=subprocess.PIPE, text=True)


async def require_ready(url: str) -> None:
    async with ApiClient(url) as client:
        while True:
            try:
                await client.call("GET", "/readyz")
                return
            except DeborchError:
                await asyncio.sleep(0.05)


def assert_secrets_are_kept(stack: LocalStack) -> None:
    endpoints = stack.endpoints
    secrets = [
        endpoints.hub_database_url.split(":")[2].split("@")[0],
        endpoints.amqp_url.split(":")[2].split("@")[0],
        stack.data.admin_key.read_text().strip(),
        stack.data.builder_key.read_text().strip(),
    ]
    shown = "".join(path.read_text(errors="replace") for path in (stack.data.root / "log").glob("*.log"))
    shown += "".join(" ".join(child.cmdline()) for child in children_of(os.getpid()))
    assert not [secret for secret in secrets if secret in shown]
    assert stack.data.admin_key.stat().st_mode & 0o077 == 0
    assert stack.data.builder_key.stat().st_mode & 0o077 == 0


def children_of(pid: int) -> set[psutil.Process]:
    return {child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE}
