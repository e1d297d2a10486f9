"""A build for another architecture by qemu-user, run by hand: making the base alone takes minutes.

DEBORCH_TEST_FOREIGN=arm64 .venv/bin/pytest tests/integration/deb_mock/test_foreign_builds.py
"""

import os
import subprocess
from dataclasses import replace

import pytest
from tests.integration.deb_mock.conftest import native_architecture, what_is_left

from deb_mock.host import foreign

ARCHITECTURE = os.environ.get("DEBORCH_TEST_FOREIGN", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ARCHITECTURE, reason="takes minutes; set DEBORCH_TEST_FOREIGN to an architecture"),
]


async def test_a_package_is_built_natively_for_an_architecture_that_qemu_runs(engine, request_for, log, config):
    support = foreign.probe(ARCHITECTURE, native_architecture())
    if not support.runs:
        pytest.skip(f"{ARCHITECTURE}: {support.reason}")
    request = replace(request_for('test "$(dpkg --print-architecture)" = ' + ARCHITECTURE), architecture=ARCHITECTURE)
    result = await engine.build(request, on_log=log.extend)
    (package,) = (each.path for each in result.artifacts if each.name.endswith(".deb"))
    said = subprocess.run(["dpkg-deb", "-f", package, "Architecture"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ARCHITECTURE
    assert what_is_left(config.state_dir) == []
