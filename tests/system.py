"""The whole stack for end-to-end and chaos tests: real processes, the command line, and nothing faked."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from deborch_cli.local.stack import LocalStack
from deborch_cli.local.supervisor import Notice
from deborch_cli.session import Session, open_session
from deborch_shared.contract.base import Page
from deborch_shared.contract.builds import Build, BuildDetail, Task, TaskCreate, TaskRef, TaskSummary
from deborch_shared.contract.hosts import Host

LEASE_S = 8.0
HEARTBEAT_S = 1.0


def settings(cache: Path) -> dict[str, str]:
    """The environment of a stack under test: quick heartbeats, caches shared between tests."""
    return {
        **os.environ,
        "DEBORCH_HUB_LEASE_S": str(LEASE_S),
        "DEBORCH_HUB_HEARTBEAT_S": str(HEARTBEAT_S),
        "DEBORCH_BUILDER_CACHE_DIR": str(cache / "deb-mock"),
        "DEBORCH_BUILDER_CPU": "2",
        "DEBORCH_DRAIN_TIMEOUT_S": "5",
    }


def share_software(data: Path, cache: Path) -> None:
    """Let a stack in `data` use the RabbitMQ that the test session has unpacked."""
    software = data / "software"
    software.mkdir(parents=True)
    (software / "rabbitmq").symlink_to(cache / "rabbitmq")


@dataclass
class System:
    """A running stack and a session of its admin."""

    stack: LocalStack
    session: Session
    notices: list[Notice]

    async def noop(self, **changes: Any) -> TaskRef:
        return await self.session.hub.post(
            "/api/v1/tasks", TaskRef, TaskCreate(**changes), idempotency_key=os.urandom(8).hex()
        )

    async def task(self, task_id: int) -> Task:
        return await self.session.hub.get(f"/api/v1/tasks/{task_id}", Task)

    async def build(self, build_id: int) -> BuildDetail:
        return await self.session.hub.get(f"/api/v1/builds/{build_id}", BuildDetail)

    async def tasks(self) -> list[TaskSummary]:
        page = await self.session.hub.get("/api/v1/tasks", Page[TaskSummary], params={"limit": "500"})
        return page.items

    async def builds(self) -> list[Build]:
        page = await self.session.hub.get("/api/v1/builds", Page[Build], params={"limit": "500"})
        return page.items

    async def host(self, name: str) -> Host:
        return await self.session.hub.get(f"/api/v1/hosts/{name}", Host)

    def cli(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `deborch` as a user would."""
        credentials = self.stack.admin_credentials()
        environment = {
            **os.environ,
            "DEBORCH_HUB_URL": credentials.hub_url,
            "DEBORCH_AUTH_URL": credentials.auth_url,
            "DEBORCH_API_KEY": credentials.api_key,
            "DEBORCH_CONFIG_DIR": str(self.stack.data.root / "cli"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "deborch_cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"deborch {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    async def run_cli(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(self.cli, *arguments, check=check)

    async def json(self, *arguments: str) -> Any:
        return orjson.loads((await self.run_cli(*arguments, "--json")).stdout)


@asynccontextmanager
async def running_system(data: Path, cache: Path, **changes: str) -> AsyncIterator[System]:
    """Start a stack in `data`; everything of it is gone afterwards."""
    share_software(data, cache)
    notices: list[Notice] = []
    stack = LocalStack(data, notices.append, builder_name="b1", given={**settings(cache), **changes})
    async with stack, open_session(stack.admin_credentials()) as session:
        yield System(stack, session, notices)


async def eventually(
    what: str, ask: Callable[[], Awaitable[bool]], *, within_s: float = 60, every_s: float = 0.1
) -> None:
    """Wait until `ask` says yes; a service that is away meanwhile says no."""
    from deborch_shared.errors import DeborchError

    last = ""
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    if await ask():
                        return
                except DeborchError as error:
                    last = f" (last error: {error})"
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}{last}") from None
