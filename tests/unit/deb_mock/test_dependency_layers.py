"""Layers on disk: found, started from, damaged, in use. Directories stand for what installing would leave."""

import json
import os

import pytest

from deb_mock.dependency_apt import Answer, installed_names, names_of
from deb_mock.layers import Answers, LayerStore

A = ("a_1_all.deb", "10", "SHA256:aa")
B = ("b_1_all.deb", "10", "SHA256:bb")
C = ("c_1_all.deb", "10", "SHA256:cc")


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path)


@pytest.fixture
def layer(store):
    def make(name, files, parents=()):
        (store.directory / name / "usr").mkdir(parents=True)
        (store.directory / name / "usr" / "file").write_text(name)
        store.complete(name, files, parents)

    return make


def test_a_layer_is_found_with_those_below_it(store, layer):
    layer("one", [A])
    layer("two", [A, B], ["one"])
    assert [path.name for path in store.find("two")] == ["two", "one"]


def test_the_largest_layer_without_anything_else_is_the_start(store, layer):
    layer("one", [A])
    layer("two", [A, B], ["one"])
    layer("more", [A, B, C])
    layer("other", [C])
    assert store.largest_subset([A, B, ("d_1_all.deb", "1", "")]) == "two"
    assert store.largest_subset([A]) == "one"
    assert store.largest_subset([B]) is None


def test_layers_do_not_pile_up_without_end(store, layer):
    names = [f"layer-{number}" for number in range(12)]
    for number, name in enumerate(names):
        layer(name, [A], names[:number])
    deepest = store.marker(store.largest_subset([A, B]))
    assert len(deepest.parents) < 6


def test_without_its_marker_a_layer_is_not_used(store, layer):
    layer("one", [A])
    (store.directory / "one.json").unlink()
    assert store.find("one") is None


def test_a_layer_that_lost_a_file_is_not_used_nor_is_what_stands_on_it(store, layer):
    layer("one", [A])
    layer("two", [A, B], ["one"])
    (store.directory / "one" / "usr" / "file").unlink()
    assert store.find("one") is None
    assert store.find("two") is None


def test_after_a_power_cut_files_that_are_empty_are_noticed(store, layer):
    layer("one", [A])
    os.truncate(store.directory / "one" / "usr" / "file", 0)
    marker = store.directory / "one.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "boot_id": "another"}))
    assert store.find("one") is None


async def test_a_layer_in_use_is_not_removed(store, layer):
    layer("one", [A])
    with store.in_use(store.find("one")) as there:
        assert there
        assert not await store.remove("one")
    assert await store.remove("one")
    assert list(store.directory.iterdir()) == []


async def test_a_build_notices_that_its_layer_has_just_gone(store, layer):
    layer("one", [A])
    found = store.find("one")
    await store.remove("one")
    with store.in_use(found) as there:
        assert not there


async def test_what_a_killed_maker_left_is_removed(store, layer):
    layer("one", [A])
    (store.directory / "half").mkdir()
    assert await store.recover() == ("half",)
    assert store.find("one") is not None


def test_a_layer_keeps_nothing_of_apts_own_state(store):
    lists = store.directory / "one" / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    (lists / "old_InRelease").write_text("old")
    store.complete("one", [A], [])
    assert not (store.directory / "one" / "var/lib/apt").exists()


@pytest.mark.parametrize(
    ("link", "host", "below"),
    [("var/log", "etc", "apt/sources.list"), ("var", "var-of-host", "lib/apt/lists"), ("build", "home", "file")],
)
def test_links_in_a_layer_lead_to_no_directory_of_the_host(store, tmp_path_factory, link, host, below):
    outside = tmp_path_factory.mktemp("host") / host
    (outside / below).parent.mkdir(parents=True)
    (outside / below).write_text("of the host")
    (store.directory / "one" / link).parent.mkdir(parents=True)
    (store.directory / "one" / link).symlink_to(outside)
    store.complete("one", [A], [])
    assert (outside / below).read_text() == "of the host"


def test_removing_packages_of_the_base_makes_another_layer():
    assert Answer((A,), ()).layer != Answer((A,), ("gone",)).layer
    assert Answer((), ()).layer == ""
    assert Answer((), ("gone",)).layer


def test_an_answer_is_remembered_even_if_it_is_nothing(tmp_path):
    answers = Answers(tmp_path)
    assert answers.get("key") is None
    answers.put("key", "")
    assert answers.get("key") == ""
    (tmp_path / "key.answer").write_text("{")
    assert answers.get("key") is None


def test_dpkgs_status_tells_what_is_installed():
    status = (
        "Package: a\nStatus: install ok installed\nArchitecture: all\nDescription: x\n Status: no\n\n"
        "Package: b\nStatus: deinstall ok config-files\nArchitecture: amd64\n"
    )
    assert installed_names(status) == {"a:all"}
    assert names_of([A, ("lib+x_1%3a2.0-1_amd64.deb", "1", ""), ("strange.deb", "1", "")]) == {"a:all", "lib+x:amd64"}
