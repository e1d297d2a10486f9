"""Layers stay while something runs on them, whoever wants to remove them meanwhile."""

import json
import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.integration.deb_mock.conftest import native_architecture
from tests.integration.deb_mock.tiny_source import make_source

from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.builds.check_rooms import Rooms
from deb_mock.builds.tool_runs import ToolRequest, ToolRuns
from deb_mock.dependencies.resolver import DependencyResolver
from deb_mock.layers.once_layer import once_layer
from deb_mock.layers.package_layers import PackageLayers
from deb_mock.layers.store import LayerStore
from deb_mock.model import TreeRequest
from deb_mock.stages.steps import Steps
from deborch_shared.apt.host import host_codename

TOOL = "hello"


@pytest.fixture
async def base(engine, log):
    return await engine.ensure_base(host_codename(), native_architecture(), on_log=log.extend)


@pytest.fixture
async def buildroots(config, base, log):
    buildroots = Buildroots(config)
    await buildroots.probe(base, log.extend)
    return buildroots


@pytest.fixture
def steps(log):
    return Steps(log.extend, None)


@pytest.fixture
def held(buildroots, base):
    """Names of the layers on the base that this process, and not only another one, keeps from being removed."""
    directory = buildroots.layers_of(base)

    def find():
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        ours = {lock[5].rpartition(":")[2] for lock in locks if lock[1] == "FLOCK" and lock[4] == str(os.getpid())}
        return {path.name for path in directory.iterdir() if path.is_dir() and str(path.stat().st_ino) in ours}

    return find


@pytest.fixture
async def once(buildroots, base, steps):
    """Makes a layer for a purpose of the test's own on a generation of the base; how often it was filled."""
    purpose, filled = f"test-{secrets.token_hex(4)}", []

    async def fill(sandbox):
        filled.append(1)
        await sandbox.run(["cp", "/etc/passwd", "/made-once"])

    @asynccontextmanager
    async def make(generation):
        named = replace(base, name=generation, tree=base.tree or base.name)
        async with once_layer(buildroots, named, purpose, fill, steps) as layer:
            yield layer

    yield SimpleNamespace(layer=make, filled=filled)
    store = LayerStore(buildroots.layers_of(base))
    for marker in list(store.markers()):
        if purpose in {name for name, _, _ in marker.files}:
            assert await store.remove(marker.digest)


async def test_a_layer_made_once_outlives_a_newer_one_while_it_is_used_and_no_longer(once):
    async with once.layer("first") as first:
        async with once.layer("second") as second:
            assert (first / "made-once").is_file()
        async with once.layer("first") as again:
            assert again == first
    async with once.layer("third"):
        assert not first.exists()
        assert not second.exists()
    assert len(once.filled) == 3


async def test_a_layer_made_once_that_lost_content_in_a_power_cut_is_made_again(once):
    async with once.layer("first") as layer:
        pass
    os.truncate(layer / "made-once", 0)
    marker = layer.with_name(f"{layer.name}.json")
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "boot_id": "before"}))
    async with once.layer("first") as layer:
        assert (layer / "made-once").read_bytes()
    assert len(once.filled) == 2


async def test_tools_above_a_layer_made_once_are_found_again(once, config, base, buildroots, log, held):
    packages, steps = PackageLayers(config, buildroots), Steps(log.extend, None)
    async with once.layer("first") as below:
        async with packages.with_tools(base, [below], [TOOL], steps) as made:
            assert made.layers[1:] == (below,)
            assert {path.name for path in made.layers} <= held()
        log.clear()
        async with packages.with_tools(base, [below], [TOOL], steps) as found:
            assert found.layers == made.layers
        assert b"apt-get" not in log
    assert await LayerStore(buildroots.layers_of(base)).remove(made.layers[0].name)


async def test_a_check_holds_the_layers_that_it_runs_on(config, base, buildroots, request_for, steps, held):
    resolver = DependencyResolver(config, buildroots)
    rooms = Rooms(resolver, buildroots, base, None, request_for(), steps, SimpleNamespace(artifacts=()))
    async with rooms.open([TOOL]):
        assert held()
    assert not held()


async def test_a_tool_holds_the_layers_that_it_runs_on(config, base, buildroots, steps, held):
    seen = []
    results = SimpleNamespace(take=lambda workspace_fd, name: seen.append(held()))
    request = ToolRequest("tool", base.suite, base.architecture, (TOOL,), ("touch", "out"), taken=("out",))
    await ToolRuns(buildroots, PackageLayers(config, buildroots)).run(base, request, results, steps)
    assert seen[0]
    assert not held()


async def test_making_a_source_package_holds_the_layers_that_it_is_cleaned_on(engine, tmp_path, base, held):
    make_source(tmp_path, build_depends=f"build-essential, {TOOL}")
    (tree,) = (path for path in tmp_path.iterdir() if (path / "debian").is_dir())
    rules = tree / "debian" / "rules"
    rules.write_text(rules.read_text().replace("clean:", "clean:\n\t@echo look now; sleep 1", 1))
    seen = []

    def look(chunk):
        if b"look now" in chunk:
            seen.append(held())

    request = TreeRequest("tree", tree, base.suite, base.architecture, tmp_path / "results")
    await engine.make_source(request, on_log=look)
    assert seen[0]
    assert not held()
