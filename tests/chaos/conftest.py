"""A stack of its own for each test here: it will be hurt."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.system import System, running_system

from deborch_cli.local.rabbitmq_files import RabbitMQFiles


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.slow)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: the builder makes namespaces and mounts"))


@pytest.fixture
async def system(tmp_path: Path, test_cache: Path, rabbitmq_files: RabbitMQFiles) -> AsyncIterator[System]:
    async with running_system(tmp_path / "stack", test_cache) as system:
        yield system
