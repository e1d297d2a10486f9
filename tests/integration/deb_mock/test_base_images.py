"""Making a base: once for all, and nothing half made stays."""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.deb_mock.conftest import native_architecture

from deb_mock.engine import Engine
from deborch_shared.apt.host import host_codename
from deborch_shared.errors import DeborchError, ErrorCode

OWNER = """
import asyncio, sys
from pathlib import Path
from deb_mock.engine import Engine
from deb_mock.engine_config import EngineConfig
state, cache, suite, architecture = sys.argv[1:]
engine = Engine(EngineConfig(state_dir=Path(state), cache_dir=Path(cache)))
asyncio.run(engine.ensure_base(suite, architecture, on_log=lambda chunk: print(chunk.decode(), end="", flush=True)))
"""


@pytest.fixture
def own_cache(config, tmp_path):
    return replace(config, cache_dir=tmp_path / "cache")


def makers_of(cache_dir):
    """Processes that work on a base in `cache_dir`, other than this one."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if str(cache_dir) in (directory / "cmdline").read_text() and directory.name != str(_me()):
                found.append(directory.name)
        except OSError:
            continue
    return found


def _me():
    return Path("/proc/self").resolve().name


async def wait_until_gone(cache_dir):
    begun = time.monotonic()
    while makers_of(cache_dir):
        assert time.monotonic() - begun < 5, "mmdebstrap still runs"
        await asyncio.sleep(0.05)


async def test_the_base_is_the_same_for_all_who_ask(engine, config, log):
    wanted = (host_codename(), native_architecture())
    other = Engine(config)
    first, second = await asyncio.gather(*(each.ensure_base(*wanted, on_log=log.extend) for each in (engine, other)))
    assert first == second
    assert first in engine.bases()


async def test_no_user_of_the_host_reaches_the_programs_in_bases_and_layers(engine, config):
    for directory in (config.bases_dir, config.layers_dir):
        assert directory.stat().st_mode & 0o077 == 0


@pytest.mark.slow
async def test_cancelling_ends_mmdebstrap_and_leaves_nothing(own_cache):
    log = bytearray()
    engine = Engine(own_cache)
    wanted = (host_codename(), native_architecture())
    task = asyncio.create_task(engine.ensure_base(*wanted, on_log=log.extend))
    while b"downloading packages" not in log:
        assert not task.done()
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until_gone(own_cache.cache_dir)
    assert str(own_cache.cache_dir) not in Path("/proc/self/mountinfo").read_text()
    assert [path.suffix for path in own_cache.bases_dir.iterdir()] == [".lock"]


@pytest.mark.slow
async def test_kill_9_ends_mmdebstrap_and_the_next_start_removes_the_rest(own_cache):
    arguments = (own_cache.state_dir, own_cache.cache_dir, host_codename(), native_architecture())
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, *map(str, arguments), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    while b"downloading packages" not in await owner.stdout.readline():
        assert owner.returncode is None
    assert (await Engine(own_cache).recover()).half_made_bases == (), "a base in the making is left alone"
    owner.kill()
    await owner.communicate()
    await wait_until_gone(own_cache.cache_dir)
    assert str(own_cache.cache_dir) not in Path("/proc/self/mountinfo").read_text()
    assert len((await Engine(own_cache).recover()).half_made_bases) == 1
    assert [path.suffix for path in own_cache.bases_dir.iterdir()] == [".lock"]


async def test_an_archive_that_cannot_be_reached_is_a_fetch_fault(own_cache):
    engine = Engine(replace(own_cache, mirror="http://127.0.0.1:9/debian"))
    with pytest.raises(DeborchError) as caught:
        await engine.ensure_base(host_codename(), native_architecture(), on_log=lambda _: None)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.FETCH_FAILED, "fetch-fault")
    assert [path.suffix for path in own_cache.bases_dir.iterdir()] == [".lock"]


async def test_another_architecture_is_refused(engine, log):
    other = "arm64" if native_architecture() == "amd64" else "amd64"
    with pytest.raises(DeborchError) as caught:
        await engine.ensure_base(host_codename(), other, on_log=log.extend)
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.INVALID_INPUT, "policy")
