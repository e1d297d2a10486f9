"""One stack for the whole folder, as `deborch up` runs it, and a target of its own for each test."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.running import Cli, Stack, environment_for, running
from tests.integration.deb_mock.tiny_source import make_source

Sources = Callable[..., Path]
_NUMBERS = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.slow)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: the builder makes namespaces and mounts"))


@pytest.fixture(scope="session")
def data_directory(tmp_path_factory: pytest.TempPathFactory, rabbitmq_files) -> Callable[[str], Path]:
    """Make a data directory where RabbitMQ's programs need not be fetched again."""

    def make(name: str) -> Path:
        data = tmp_path_factory.mktemp(name) / "data"
        (data / "software").mkdir(parents=True)
        if rabbitmq_files.unpacked:
            (data / "software" / "rabbitmq").symlink_to(rabbitmq_files.root)
        return data

    return make


@pytest.fixture(scope="session")
def stack(data_directory: Callable[[str], Path], test_cache: Path) -> Iterator[Stack]:
    """The stack that all tests share: leave it as you found it."""
    data = data_directory("e2e")
    with running(data, environment_for(data, test_cache)) as stack:
        yield stack


@dataclass(frozen=True)
class Published:
    """A target with one package in its archive, tiny 1.0."""

    target: str
    build: int
    dsc: Path
    sources: str
    """The `.sources` file."""


@pytest.fixture(scope="session")
def published(stack: Stack, suite: str, architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """For tests that need something published and add nothing to it."""
    cli, name = stack.admin, "published"
    cli("target", "create", name, "--suite", suite, "--arch", architecture)
    dsc = make_source(tmp_path_factory.mktemp("source"))
    cli("build", dsc, "--target", name, "--watch")
    (build,) = cli.json("build", "list", "--target", name)
    return Published(name, build["id"], dsc, cli("archive", "sources", name).stdout)


@pytest.fixture
def cli(stack: Stack) -> Cli:
    """The admin's command line."""
    return stack.admin


@pytest.fixture
def target(stack: Stack, suite: str, architecture: str) -> str:
    """A target of this test alone."""
    name = f"target-{next(_NUMBERS)}"
    stack.post("targets", {"name": name, "suite": suite, "architectures": [architecture]})
    return name


@pytest.fixture
def source(tmp_path: Path) -> Sources:
    """Make a source package: `source(name="tiny", version="1.0", body="true", build_depends="")`; its .dsc."""
    made = 0

    def make(**choices: str) -> Path:
        nonlocal made
        made += 1
        directory = tmp_path / f"source-{made}"
        directory.mkdir()
        return make_source(directory, **choices)

    return make


@pytest.fixture(scope="session")
def suite() -> str:
    """The host's Debian suite."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME="))


@pytest.fixture(scope="session")
def architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
