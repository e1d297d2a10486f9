"""One state directory below DEBORCH_TEST_CACHE with tools roots and packages: a second session downloads nothing."""

import asyncio
import os
from pathlib import Path

import pytest

from deb_bootc_compose.state.layout import State
from deb_bootc_compose.tools.roots import open_tools
from deborch_shared.apt.host import proxies_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and namespaces")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(needs_root)


@pytest.fixture(scope="session")
def cached_state():
    """For caches only: tools roots, .debs. Tests make their own state directory for everything else."""
    default = Path.home() / ".cache" / "deborch-tests"
    return State(Path(os.environ.get("DEBORCH_TEST_CACHE", default)) / "deb-bootc-compose" / "state")


@pytest.fixture(scope="session")
def tools(cached_state):
    return asyncio.run(open_tools(cached_state, proxies=proxies_of(os.environ)))
