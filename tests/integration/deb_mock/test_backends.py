"""The same build, and the same isolation, by each backend that this host has."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.deb_mock.conftest import native_architecture, what_is_left

from deb_mock.engine import Engine
from deb_mock.failures import exit_code
from deb_mock.model import CommandRequest
from deborch_shared.apt.host import host_codename
from deborch_shared.errors import DeborchError
from deborch_shared.sandbox.backends import problem
from deborch_shared.sandbox.record import records
from deborch_shared.sandbox.spec import Backend, Filtering

SECRET = "DEBORCH_TEST_SECRET"
ISOLATED = f"""\
test "$(id -u)" = 59000
test "$(grep -c : /proc/net/dev)" = 1
test "$(hostname)" = buildroot
test -z "${SECRET}"
! touch /usr/bin/mine /proc/sys/kernel/hostname /sys/mine 2>/dev/null
! mount -t tmpfs mine /mnt 2>/dev/null
! unshare --user true 2>/dev/null
! mknod /tmp/sda b 8 0 2>/dev/null
! head -c 1 /proc/kcore 2>/dev/null | grep -q .
test "$(ls -d /proc/[0-9]* | wc -l)" -lt 40
grep -q '^CapEff:\\s*0000000000000000$' /proc/self/status
grep -q '^CapBnd:\\s*00000000000000[0c]0$' /proc/self/status
grep -q '^NoNewPrivs:\\s*1$' /proc/self/status
grep -q '^Seccomp:\\s*2$' /proc/self/status
setsid sleep 1000 >/dev/null 2>&1 &
echo isolated
"""
AS_ROOT = (
    "grep -q '^CapEff:\\s*00000000a00405fb$' /proc/self/status && "
    "! mount -t tmpfs mine /mnt 2>/dev/null && ! hostname mine 2>/dev/null && "
    "! mknod /tmp/sda b 8 0 2>/dev/null && ! touch /sys/mine 2>/dev/null && "
    "touch /usr/bin/mine && chown 59000 /usr/bin/mine && exit 42"
)


@pytest.fixture(params=[Backend.NAMESPACES, Backend.BWRAP, Backend.NSPAWN])
async def engine(request, config):
    missing = problem(request.param)
    if missing is not None:
        pytest.skip(f"{missing.message}: {missing.hint}")
    filtering = Filtering.PREFERRED if request.param is Backend.NSPAWN else Filtering.REQUIRED
    engine = Engine(replace(config, backend=request.param, filtering=filtering))
    await engine.recover()
    yield engine
    await engine.close()
    assert what_is_left(config.state_dir) == []
    assert not Path("/run/systemd/nspawn/propagate/mnt").exists()


async def test_a_build_is_isolated_by_every_backend_and_root_inside_has_few_capabilities(
    engine, request_for, log, monkeypatch
):
    monkeypatch.setenv(SECRET, "seen")
    request = request_for(ISOLATED)
    result = await engine.build(request, on_log=log.extend)
    assert b"\nisolated\n" in log
    assert [artifact.name for artifact in result.artifacts if artifact.name.endswith(".deb")]
    command = CommandRequest("root", ("sh", "-c", AS_ROOT), host_codename(), native_architecture())
    assert await engine.run_command(command, on_output=log.extend, on_log=log.extend) == 42, log[-2000:]


async def test_nothing_outlives_a_keeper_that_is_killed(engine, config, log):
    command = CommandRequest(
        "killed", ("sh", "-c", "echo begun; exec sleep 1000"), host_codename(), native_architecture()
    )
    running = asyncio.create_task(engine.run_command(command, on_output=log.extend, on_log=log.extend))
    while b"begun" not in log:
        await asyncio.sleep(0.05)
        assert not running.done()
    for entry in records(config.sandboxes_dir):
        assert entry.keeper is not None
        os.kill(entry.keeper.pid, signal.SIGKILL)
    with pytest.raises(DeborchError):
        await running
    assert what_is_left(config.state_dir) == []


async def test_a_cancelled_build_is_gone_with_every_backend(engine, request_for, log, config):
    building = asyncio.create_task(engine.build(request_for("echo begun; sleep 1000"), on_log=log.extend))
    while b"\nbegun" not in log:
        await asyncio.sleep(0.05)
        assert not building.done()
    building.cancel()
    await asyncio.gather(building, return_exceptions=True)
    assert what_is_left(config.state_dir) == []
    assert list(config.sandboxes_dir.iterdir()) == []


async def test_a_backend_that_cannot_be_used_is_refused_before_anything_is_made(config, tmp_path, log):
    engine = Engine(replace(config, backend=Backend.QEMU, cache_dir=tmp_path / "cache"))
    command = CommandRequest("refused", ("true",), host_codename(), native_architecture())
    with pytest.raises(DeborchError, match="not offered") as caught:
        await engine.run_command(command, on_output=log.extend, on_log=log.extend)
    assert exit_code(caught.value) == 6
    assert log == b""
