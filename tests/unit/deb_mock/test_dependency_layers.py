"""Layers on disk: found, started from, damaged, in use. Directories stand for what installing would leave."""

import asyncio
import json
import os
from types import SimpleNamespace

import pytest

from deb_mock.builds.check_rooms import relations_only
from deb_mock.dependencies.apt_get import Answer, installed_names, names_of
from deb_mock.dependencies.question import Question
from deb_mock.dependencies.solver import AspcudSolver
from deb_mock.layers.store import Answers, LayerContents, LayerStore
from deb_mock.model import BuildRequest
from deb_mock.plugins.api import Contribution
from deb_mock.plugins.manager import BuildHooks
from deborch_shared.errors import DeborchError

A = ("a_1_all.deb", "10", "SHA256:aa")
B = ("b_1_all.deb", "10", "SHA256:bb")
C = ("c_1_all.deb", "10", "SHA256:cc")


NO_DOCUMENTATION = ("DPkg::Options::=--path-exclude=/usr/share/doc/*",)


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path)


@pytest.fixture
def layer(store):
    def make(name, files, parents=()):
        (store.directory / name / "usr").mkdir(parents=True)
        (store.directory / name / "usr" / "file").write_text(name)
        store.complete(name, LayerContents(tuple(files), tuple(parents)))

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


def test_a_layer_whose_packages_dpkg_changed_is_no_start_for_one_without_that(store, layer):
    layer("plain", [A])
    (store.directory / "changed" / "usr").mkdir(parents=True)
    store.complete("changed", LayerContents((A, B), settings=NO_DOCUMENTATION))
    assert store.marker("changed").settings == NO_DOCUMENTATION
    assert store.largest_subset([A, B, C]) == "plain"
    assert store.largest_subset([A, B, C], NO_DOCUMENTATION) == "changed"


def test_options_for_dpkg_make_another_layer_and_those_for_downloads_do_not():
    settings = ("-o", "Acquire::http::Proxy=x", "-o", NO_DOCUMENTATION[0])
    assert Question(None, None, None, settings).dpkg_settings == NO_DOCUMENTATION
    assert Answer((A,), (), NO_DOCUMENTATION).layer not in {Answer((A,), ()).layer, Answer((A,), ("gone",)).layer}


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
    store.complete("one", LayerContents((A,)))
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
    store.complete("one", LayerContents((A,)))
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


def making(files, parents=()):
    """A maker of layers, and the names that it was called with."""
    made = []

    async def make(directory):
        made.append(directory.name)
        (directory / "usr").mkdir(parents=True)
        (directory / "usr" / "file").write_text(directory.name)
        await asyncio.sleep(0.01)
        return LayerContents(tuple(files), tuple(parents))

    return make, made


async def test_whoever_asks_for_a_layer_at_the_same_time_waits_for_the_first_to_make_it(store):
    make, made = making([A])
    waiting = []

    async def ask():
        async with store.made_once("one", make, on_wait=lambda: waiting.append(1)) as found:
            return found.made

    assert sorted(await asyncio.gather(ask(), ask(), ask())) == [False, False, True]
    assert made == ["one"]
    assert len(waiting) == 2
    assert store.find("one") is not None


async def test_a_layer_made_or_found_is_not_removed_before_its_user_is_done(store, layer):
    layer("below", [A])
    make, _ = making([A, B], ["below"])
    for _ in range(2):
        async with store.made_once("one", make, on_wait=lambda: None) as found:
            assert [path.name for path in found.chain] == ["one", "below"]
            assert not await store.remove("one")
            assert not await store.remove("below")
    assert await store.remove("one")


async def test_a_damaged_layer_that_is_in_use_is_not_taken_for_a_whole_one(store, layer):
    layer("one", [A])
    make, made = making([A])
    with store.in_use(store.find("one")):
        (store.directory / "one" / "usr" / "file").unlink()
        with pytest.raises(DeborchError, match="damaged, and a build uses it"):
            async with store.made_once("one", make, on_wait=lambda: None):
                pass
        assert store.find("one") is None
    async with store.made_once("one", make, on_wait=lambda: None) as found:
        assert found.made
    assert made == ["one"]


async def test_a_maker_that_fails_leaves_nothing_that_counts_as_a_layer(store):
    async def fail(directory):
        directory.mkdir()
        raise OSError("disk full")

    make, made = making([A])
    with pytest.raises(OSError, match="disk full"):
        async with store.made_once("one", fail, on_wait=lambda: None):
            pass
    async with store.made_once("one", make, on_wait=lambda: None):
        assert made == ["one"]


def test_what_apt_answered_under_other_settings_of_plugins_is_another_answer(tmp_path):
    source = relations_only("x", ["a"]).description
    request = BuildRequest(
        build_id="x", dsc=tmp_path, source_dir=tmp_path, suite="sid", architecture="amd64", result_dir=tmp_path
    )
    base = SimpleNamespace(root=tmp_path)
    settings = ((), ("-o", "APT::Install-Recommends=true"), ("-o", "APT::Install-Recommends=false"))
    assert len({Question(base, source, request, each).key("base", "") for each in settings}) == 3


def test_the_options_that_plugins_give_apt_are_part_of_what_it_is_asked():
    hooks = BuildHooks(None, None)
    hooks._contributions.add("one", Contribution(apt_options={"APT::Install-Recommends": "true"}))
    assert hooks.apt_settings == ("-o", "APT::Install-Recommends=true")


def test_what_plugins_need_above_an_exact_set_is_installed_by_name():
    hooks = BuildHooks(None, None)
    relations = ("ccache (>= 4)", "eatmydata", "python3:any | python", "faketime [amd64]")
    hooks._contributions.add("one", Contribution(packages=relations))
    assert hooks.tools == ("ccache", "eatmydata", "python3", "faketime")


async def test_the_solver_is_downloaded_with_the_network_and_installed_without():
    commands = []

    class Steps:
        def say(self, text):
            pass

        async def run(self, sandbox, argv, *, env=None, network=False, check=True, quiet=False):
            commands.append((argv, network))
            return SimpleNamespace(returncode=0, output=b"")

    await AspcudSolver(None, {})._install(None, None, Steps())
    assert [("--download-only" in argv, network) for argv, network in commands if "install" in argv] == [
        (True, True),
        (False, False),
    ]
