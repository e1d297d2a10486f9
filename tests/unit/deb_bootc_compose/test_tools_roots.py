"""Which archive the tools come from, what names a tools root, and what is said where none can be."""

import pytest

from deb_bootc_compose.tools.making import tools_sources
from deb_bootc_compose.tools.recipe import ToolSet, recipe_for
from deborch_shared.apt.host import AptSource, HostApt
from deborch_shared.errors import DeborchError


def host(*sources: tuple[str, str]):
    return HostApt("bookworm", tuple(AptSource(uri, suite, ("main", "contrib")) for uri, suite in sources), {})


def test_tools_of_the_hosts_own_suite_come_with_its_updates_and_security():
    found = tools_sources(
        host(
            ("http://a.example/debian", "trixie"),
            ("http://a.example/debian", "trixie-updates"),
            ("http://s.example/security", "trixie-security"),
            ("http://a.example/debian", "trixie-backports"),
        ),
        "trixie",
    )
    assert [(one.uri, one.suite) for one in found] == [
        ("http://a.example/debian", "trixie"),
        ("http://a.example/debian", "trixie-updates"),
        ("http://s.example/security", "trixie-security"),
    ]


def test_tools_of_another_suite_come_from_the_hosts_main_archive():
    found = tools_sources(
        host(("http://s.example/security", "bookworm-security"), ("http://a.example/debian", "bookworm")), "trixie"
    )
    assert [(one.uri, one.suite, one.components) for one in found] == [("http://a.example/debian", "trixie", ("main",))]


def test_a_host_without_a_debian_archive_is_told_to_add_one():
    with pytest.raises(DeborchError, match="name no Debian archive") as caught:
        tools_sources(host(), "trixie")
    assert caught.value.fields["failure_class"] == "host"


def test_the_name_of_a_tools_root_changes_with_its_packages_and_architecture():
    tree = recipe_for(ToolSet.TREE, "amd64")
    assert tree.key == recipe_for(ToolSet.TREE, "amd64").key
    assert len({tree.key, recipe_for(ToolSet.TREE, "arm64").key, recipe_for(ToolSet.MACHINE, "amd64").key}) == 3


def test_who_makes_trees_does_not_wait_for_qemu():
    assert not any(name.startswith("qemu-system") for name in recipe_for(ToolSet.TREE, "amd64").packages)


def test_an_unknown_architecture_is_refused_with_those_that_work():
    with pytest.raises(DeborchError, match="not made on s390x") as caught:
        recipe_for(ToolSet.TREE, "s390x")
    assert "amd64" in caught.value.hint
