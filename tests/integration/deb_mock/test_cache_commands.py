"""`deb-mock list`, `update`, `clean` and `scrub`: what they show is true, also after kill -9."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.integration.deb_mock.conftest import native_architecture, what_is_left

from deb_mock.engine import Engine
from deborch_shared import process
from deborch_shared.apt.host import host_codename


@pytest.fixture
async def own(engine, config, log, tmp_path):
    """A cache of the test's own, with the shared base in it by hard links, and that base."""
    base = await engine.ensure_base(host_codename(), native_architecture(), on_log=log.extend)
    cache = config.cache_dir.with_name(f"own-{tmp_path.name}")
    (cache / "bases").mkdir(parents=True)
    subprocess.run(["cp", "-al", base.directory, cache / "bases"], check=True)
    for path in config.bases_dir.glob("*.release"):
        shutil.copy(path, cache / "bases")
    yield replace(config, cache_dir=cache), base
    subprocess.run(["rm", "-rf", cache], check=True)


@pytest.fixture
def deb_mock(own):
    config, _ = own
    places = ["--state-dir", str(config.state_dir), "--cache-dir", str(config.cache_dir)]
    return lambda name, *arguments: [sys.executable, "-m", "deb_mock", name, *map(str, arguments), *places]


async def shown(command):
    return json.loads((await process.run(["/bin/sh", "-c", 'exec "$@" 2>/dev/null', "sh", *command])).output)


async def test_list_tells_who_runs_and_who_was_killed_and_clean_removes_that(own, deb_mock, request_for):
    config, base = own
    request = request_for("echo compiling; head -c 1000000 /dev/zero > kept; sleep 1000")
    command = deb_mock("build", request.dsc, "--result-dir", request.result_dir, "--verbose")
    building = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    while (await building.stderr.readline()).strip() != b"compiling":
        assert building.returncode is None
    await asyncio.sleep(0.5)
    listed = await shown(deb_mock("list", "--json"))
    assert len(listed["buildroots"]) == 1, listed["buildroots"]
    (buildroot,) = listed["buildroots"]
    assert (buildroot["state"], buildroot["pid"]) == ("running", building.pid)
    assert buildroot["size_bytes"] >= 1_000_000
    assert [(each["name"], each["in_use"], each["newest"]) for each in listed["bases"]] == [(base.name, True, True)]
    removed = (await shown(deb_mock("scrub", "base", "--json")))["removed"]
    assert removed == [], "a build uses it"

    building.send_signal(signal.SIGKILL)
    await building.communicate()
    (buildroot,) = (await shown(deb_mock("list", "--json")))["buildroots"]
    assert buildroot["state"] == "abandoned"
    cleaned = await shown(deb_mock("clean", "--json"))
    assert buildroot["name"] in cleaned["left behind"]
    assert (await shown(deb_mock("list", "--json")))["buildroots"] == []
    assert what_is_left(config.state_dir) == []


async def test_scrub_removes_what_it_is_asked_to_and_a_full_disk_what_was_not_used_for_longest(own, deb_mock):
    config, base = own
    other_suite = await shown(deb_mock("scrub", "all", "--suite", "no-such-suite", "--json"))
    assert other_suite == {"removed": []}
    (config.bases_dir / f"{base.name}.use").touch()
    full = Engine(replace(config, free_space_floor_bytes=1 << 62))
    assert await full.collect_garbage() == [], "a base that was just asked for is not taken from under a build"
    old = Engine(replace(config, unused_max_age_s=0))
    (removed,) = await old.collect_garbage()
    assert (removed.kind, removed.name) == ("base", base.name)
    assert (await shown(deb_mock("list", "--json")))["bases"] == []


async def test_update_says_that_nothing_has_changed(own, deb_mock):
    _, base = own
    (updated,) = (await shown(deb_mock("update", "--all", "--json")))["bases"]
    assert (updated["name"], updated["changed"]) == (base.name, False)
