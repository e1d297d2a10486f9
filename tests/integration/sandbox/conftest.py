"""A root without Debian tools: a few directories, and the host's /usr shown read-only."""

import asyncio
import os
from pathlib import Path

import pytest
import uvloop

from deborch_shared.sandbox.spec import Bind, IdRange, Lower, SandboxSpec

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and namespaces")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)
            item.add_marker(needs_root)


def pytest_asyncio_loop_factories(config, item):
    """What ends, ends under both event loops."""
    both = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    return both if item.path.name == "test_sandbox_endings.py" else {"uvloop": both["uvloop"]}


@pytest.fixture
def lower(tmp_path):
    root = tmp_path / "lower"
    for name in ("proc", "sys", "dev", "tmp", "etc", "usr"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc" / "mark").write_text("lower\n")
    return root


@pytest.fixture(params=["user-namespace", "host-ids"])
def ids(request):
    return IdRange(first=1_700_000_000) if request.param == "user-namespace" else None


@pytest.fixture
def spec(tmp_path, lower, ids):
    return SandboxSpec(
        directory=tmp_path / "state" / "box",
        lowers=(Lower(lower, map_ids=True),),
        scratch_bytes=64 << 20,
        ids=ids,
        workspace_uid=59_000,
        binds=(Bind(Path("/usr"), "/usr"),),
        hostname="box",
    )
