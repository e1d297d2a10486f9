"""Fixtures of integration tests that stop and kill servers of their own."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deborch_cli.local.postgres import EmbeddedPostgres
from deborch_cli.local.rabbitmq import EmbeddedRabbitMQ
from deborch_cli.local.rabbitmq_files import RabbitMQFiles


@pytest.fixture
async def own_postgres(postgres_template: Path, tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A running PostgreSQL that the test may kill and start again."""
    shutil.copytree(postgres_template, tmp_path / "postgres")
    async with EmbeddedPostgres(tmp_path / "postgres", databases=("hub", "auth"), durable=False) as server:
        yield server


@pytest.fixture
async def own_rabbitmq(rabbitmq_files: RabbitMQFiles, tmp_path: Path) -> AsyncIterator[EmbeddedRabbitMQ]:
    """A running RabbitMQ that the test may kill and start again."""
    async with EmbeddedRabbitMQ(tmp_path / "rabbitmq", rabbitmq_files) as broker:
        yield broker
