"""What people name to be built, in which order several are built, and what a tree says about itself."""

import os

import pytest

from deb_mock.chains.build_sequence import in_order, needs
from deb_mock.sources.arguments import DscFile, SuiteSource, TreeDirectory, outside_of_trees, understand
from deb_mock.sources.tree import SourceTree
from deborch_shared.errors import DeborchError, ErrorCode
from deborch_shared.sources import SourceDescription


def source(name, depends="", binaries=()):
    relations = {"Build-Depends": depends} if depends else {}
    return SourceDescription(name, "1", "1.0", ("any",), (), tuple(binaries) or (name,), "", relations, is_signed=False)


@pytest.fixture
def tree(tmp_path):
    directory = tmp_path / "work" / "hello"
    (directory / "debian" / "source").mkdir(parents=True)
    (directory / "debian" / "source" / "format").write_text("3.0 (quilt)\n")
    (directory / "debian" / "changelog").write_text("hello (1:2.10-3) unstable; urgency=low\n\n  * x\n")
    control = (
        "# comment\nSource: hello\nBuild-Depends: debhelper (>= 9),\n texinfo\n\nPackage: hello\nArchitecture: any\n"
    )
    (directory / "debian" / "control").write_text(control)
    return directory


def test_a_file_a_tree_and_a_name_are_told_apart(tree, monkeypatch):
    monkeypatch.chdir(tree.parent)
    assert understand("x_1.dsc") == DscFile(tree.parent / "x_1.dsc")
    assert understand("hello") == TreeDirectory(tree)
    assert understand("bash") == SuiteSource("bash", None)
    assert understand("bash=5.2-1") == SuiteSource("bash", "5.2-1")


@pytest.mark.parametrize("text", ["", "-x", "a b", "../none", "bash=", "bash=not a version", "Bash", "empty"])
def test_anything_else_is_no_source(text, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeborchError) as caught:
        understand(text)
    assert caught.value.fields["failure_class"] == "policy"


def test_sources_come_after_those_that_they_need():
    sources = [
        source("app", "libb-dev (>= 1) | x, debhelper"),
        source("b", "a:native", ["libb1", "libb-dev"]),
        source("a"),
    ]
    assert in_order(sources, ()) == (2, 1, 0)
    assert needs(sources, ()) == ({1}, {2}, frozenset())


def test_sources_that_need_nothing_of_each_other_stay_in_their_order():
    assert in_order([source("b"), source("a"), source("c")], ()) == (0, 1, 2)


def test_a_circle_is_named_unless_a_profile_breaks_it():
    sources = [source("a", "b <!stage1>"), source("b", "a")]
    with pytest.raises(DeborchError) as caught:
        in_order(sources, ())
    assert "a -> b -> a" in caught.value.message or "b -> a -> b" in caught.value.message
    assert in_order(sources, ("stage1",)) == (0, 1)


def test_a_tree_says_what_its_dsc_will_say(tree):
    description = SourceTree.read(tree).description
    assert (description.name, description.version, description.format) == ("hello", "1:2.10-3", "3.0 (quilt)")
    assert description.relations == {"Build-Depends": "debhelper (>= 9), texinfo"}
    assert (description.binaries, description.architectures) == (("hello",), ("any",))


def test_the_original_tarball_is_found_beside_the_tree_or_named_as_missing(tree):
    read = SourceTree.read(tree)
    with pytest.raises(DeborchError) as caught:
        read.tarballs()
    assert "hello_2.10.orig.tar.* is missing" in caught.value.message
    for name in (
        "hello_2.10.orig.tar.xz",
        "hello_2.10.orig.tar.xz.asc",
        "hello_2.10.orig-doc.tar.gz",
        "hello_2.9.orig.tar.xz",
    ):
        (tree.parent / name).touch()
    assert [path.name for path in read.tarballs()] == [
        "hello_2.10.orig-doc.tar.gz",
        "hello_2.10.orig.tar.xz",
        "hello_2.10.orig.tar.xz.asc",
    ]


def copied(tree, target):
    """The directory that `tree` and its tarballs are copied into."""
    target.mkdir()
    descriptor = os.open(target, os.O_RDONLY)
    try:
        SourceTree.read(tree).copy_into(descriptor, os.getuid())
    finally:
        os.close(descriptor)
    return target


def test_a_tarball_that_is_a_link_to_one_beside_it_is_copied(tree, tmp_path):
    (tree.parent / "hello-2.10.tar.xz").write_text("upstream")
    (tree.parent / "hello_2.10.orig.tar.xz").symlink_to("hello-2.10.tar.xz")
    copy = copied(tree, tmp_path / "target") / "hello_2.10.orig.tar.xz"
    assert not copy.is_symlink()
    assert copy.read_text() == "upstream"


@pytest.mark.parametrize("kind", ["link away", "link to a link away", "device", "pipe"])
def test_a_tarball_that_is_no_file_beside_the_tree_is_refused_and_nothing_of_it_is_read(tree, tmp_path, kind):
    (tmp_path / "secret").write_text("secret")
    tarball = tree.parent / "hello_2.10.orig.tar.xz"
    if kind == "pipe":
        os.mkfifo(tarball)
    elif kind == "link to a link away":
        (tree.parent / "upstream.tar.xz").symlink_to(tmp_path / "secret")
        tarball.symlink_to("upstream.tar.xz")
    else:
        tarball.symlink_to("/dev/zero" if kind == "device" else tmp_path / "secret")
    with pytest.raises(DeborchError, match="cannot be read") as caught:
        copied(tree, tmp_path / "target")
    assert caught.value.code is ErrorCode.INVALID_SOURCE
    assert not (tmp_path / "target" / tarball.name).exists()


def test_a_copy_leaves_out_version_control_and_special_files(tree, tmp_path):
    (tree.parent / "hello_2.10.orig.tar.xz").touch()
    (tree / ".git").mkdir()
    (tree / "link").symlink_to("/nowhere")
    os.mkfifo(tree / "pipe")
    target = tmp_path / "target"
    target.mkdir()
    descriptor = os.open(target, os.O_RDONLY)
    name = SourceTree.read(tree).copy_into(descriptor, os.getuid())
    os.close(descriptor)
    assert name == "hello-2.10"
    assert {path.name for path in (target / name).iterdir()} == {"debian", "link"}
    assert (target / "hello_2.10.orig.tar.xz").exists()
    assert {path.name for path in tree.iterdir()} == {"debian", ".git", "link", "pipe"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("changelog", "nonsense"),
        ("changelog", "hello (1 2) x; urgency=low"),
        ("control", "Source: other\n"),
        ("control", ""),
    ],
)
def test_a_tree_that_is_no_source_package_is_refused_by_the_file_at_fault(tree, name, text):
    (tree / "debian" / name).write_text(text)
    with pytest.raises(DeborchError) as caught:
        SourceTree.read(tree)
    assert f"debian/{name}" in caught.value.message


def test_a_link_out_of_the_tree_is_not_followed(tree, tmp_path):
    (tmp_path / "secret").write_text("hello (1) x; urgency=low")
    (tree / "debian" / "changelog").unlink()
    (tree / "debian" / "changelog").symlink_to(tmp_path / "secret")
    with pytest.raises(DeborchError) as caught:
        SourceTree.read(tree)
    assert "leads out of the tree" in caught.value.message


def test_results_do_not_go_into_a_tree_that_is_built(tree):
    arguments = [TreeDirectory(tree), SuiteSource("bash", None)]
    assert outside_of_trees(arguments, tree) == tree.parent
    assert outside_of_trees(arguments, tree / "debian") == tree.parent
    assert outside_of_trees(arguments, tree.parent) == tree.parent
    assert outside_of_trees([SuiteSource("bash", None)], tree) == tree
