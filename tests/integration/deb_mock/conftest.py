"""One cached base image for all tests of a machine; a state directory for each test, checked at its end."""

import os
from pathlib import Path

import pytest
from tests.integration.deb_mock.tiny_source import make_source

from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
from deb_mock.model import BuildRequest
from deborch_shared.apt.host import host_codename, proxies_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and namespaces")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(needs_root)


@pytest.fixture(scope="session")
def cache_dir():
    default = Path.home() / ".cache" / "deborch-tests"
    return Path(os.environ.get("DEBORCH_TEST_CACHE", default)) / "deb-mock"


@pytest.fixture
def config(tmp_path, cache_dir):
    return EngineConfig(
        state_dir=tmp_path / "state", cache_dir=cache_dir, tmpfs_bytes=256 << 20, proxies=proxies_of(os.environ)
    )


@pytest.fixture
async def engine(config):
    engine = Engine(config)
    await engine.recover()
    yield engine
    await engine.close()
    assert what_is_left(config.state_dir) == []


@pytest.fixture
def log():
    return bytearray()


@pytest.fixture
def request_for(tmp_path):
    """Makes a source package and a request to build it."""

    def make(body="true", *, build_depends="", timeout_s=400.0, log_limit_bytes=64 << 20):
        source_dir = tmp_path / "source"
        source_dir.mkdir()
        dsc = make_source(source_dir, body=body, build_depends=build_depends)
        make.last = BuildRequest(
            build_id="test",
            dsc=dsc,
            source_dir=source_dir,
            suite=host_codename(),
            architecture=native_architecture(),
            result_dir=tmp_path / "results",
            timeout_s=timeout_s,
            log_limit_bytes=log_limit_bytes,
        )
        return make.last

    return make


def native_architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def what_is_left(state_dir: Path) -> list[str]:
    """Mounts, files and processes that belong to a state directory."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(state_dir) in line]
    files = [str(path) for path in state_dir.rglob("*") if path.name != "sandboxes"]
    return mounts + files + processes_of(state_dir)


def processes_of(state_dir: Path) -> list[str]:
    """Processes that see a mount of the state directory, so every process of a sandbox."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if directory.name != str(os.getpid()) and str(state_dir) in (directory / "mountinfo").read_text():
                found.append(f"{directory.name} {(directory / 'cmdline').read_text()}")
        except (FileNotFoundError, ProcessLookupError, OSError):
            continue
    return found
