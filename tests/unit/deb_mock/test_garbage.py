"""What is removed from a cache, in which order. Directories stand for layers; there is no base."""

import os
import threading
import time
from dataclasses import replace

import pytest

from deb_mock.bases.store import BaseStore
from deb_mock.buildroots.buildroot import Buildroots
from deb_mock.caches.garbage import GarbageCollector
from deb_mock.engine_config import EngineConfig
from deb_mock.layers.store import LayerContents, LayerStore
from deb_mock.model import CacheKind

HOUR_S = 3600


@pytest.fixture
def config(tmp_path):
    return EngineConfig(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache", free_space_floor_bytes=0)


@pytest.fixture
def store(config):
    return LayerStore(config.layers_dir / "tree" / "ids")


@pytest.fixture
def layer(store):
    def make(name, parents=(), unused_s=0):
        (store.directory / name).mkdir(parents=True)
        (store.directory / name / "file").write_bytes(bytes(8192))
        store.complete(name, LayerContents((), tuple(parents)))
        used_at_s = time.time() - unused_s
        os.utime(store.directory / f"{name}.json", (used_at_s, used_at_s))

    return make


def collector(config):
    return GarbageCollector(config, BaseStore(config, Buildroots(config)))


def names(removed):
    return [each.name.removeprefix("tree/") for each in removed]


async def test_layers_go_after_those_that_stand_on_them(config, layer):
    layer("below", unused_s=100 * HOUR_S)
    layer("above", ["below"], unused_s=90 * HOUR_S)
    layer("top", ["above", "below"], unused_s=90 * HOUR_S)
    layer("used", unused_s=HOUR_S)
    assert names(await collector(replace(config, unused_max_age_s=50 * HOUR_S)).collect()) == ["top", "above", "below"]


async def test_what_is_below_a_layer_that_was_used_since_counts_as_used(config, layer):
    layer("below", unused_s=100 * HOUR_S)
    layer("above", ["below"], unused_s=HOUR_S)
    assert await collector(replace(config, unused_max_age_s=50 * HOUR_S)).collect() == []


async def test_below_a_layer_in_use_nothing_is_removed(config, store, layer):
    layer("below")
    layer("above", ["below"])
    with store.in_use([store.directory / "above"]):
        assert await collector(config).scrub(CacheKind.LAYER) == []
    assert names(await collector(config).scrub(CacheKind.LAYER)) == ["above", "below"]


async def test_a_cache_that_is_too_large_loses_what_was_unused_for_longest_and_no_more(config, store, layer):
    for number in range(4):
        layer(f"layer-{number}", unused_s=(10 - number) * HOUR_S)
    size_bytes = sum(marker.size_bytes for marker in store.markers())
    removed = await collector(replace(config, cache_max_bytes=size_bytes // 2)).collect()
    assert names(removed) == ["layer-0", "layer-1"]


async def test_the_cache_is_read_once_and_not_on_the_event_loop(config, layer, monkeypatch):
    for number in range(5):
        layer(f"layer-{number}", unused_s=100 * HOUR_S)
    reads = []
    markers = LayerStore.markers

    def counted(self):
        reads.append(threading.current_thread() is threading.main_thread())
        return markers(self)

    monkeypatch.setattr(LayerStore, "markers", counted)
    removed = await collector(replace(config, unused_max_age_s=HOUR_S)).collect()
    assert len(removed) == 5
    assert reads == [False]


async def test_scrub_finds_what_the_compiler_cache_left(config):
    kept = config.cache_dir / "plugins" / "ccache" / "sid-amd64"
    kept.mkdir(parents=True)
    (kept / "object").write_bytes(b"x")
    assert [each.name for each in await collector(config).scrub(CacheKind.CCACHE)] == ["sid-amd64"]
    assert not kept.exists()
