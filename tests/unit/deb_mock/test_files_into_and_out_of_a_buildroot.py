"""Whatever links a buildroot holds, copying never leaves it."""

import os
from contextlib import contextmanager

import pytest

from deb_mock.buildroots.root_files import Owner, copy_from_root, copy_tree, directory_in_root, open_in_root
from deborch_shared.errors import DeborchError, ErrorCode

MINE = Owner(os.geteuid(), os.getegid())


@contextmanager
def opened(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.fixture
def root(tmp_path):
    directory = tmp_path / "root"
    (directory / "etc").mkdir(parents=True)
    (directory / "etc" / "passwd").write_text("of the buildroot\n")
    return directory


@pytest.fixture
def out(tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    return directory


def copied(root, path, out, name="got"):
    with opened(root) as inside, opened(out) as outside:
        return copy_from_root(inside, path, (outside, name), MINE)


@pytest.mark.parametrize("link", ["/etc/passwd", "../../../../../../etc/passwd", "/../etc/passwd"])
def test_a_link_that_points_outside_means_the_file_inside(root, out, link):
    (root / "link").symlink_to(link)
    copied(root, "/link", out)
    assert (out / "got").read_text() == "of the buildroot\n"


def test_a_directory_that_is_a_link_to_the_hosts_does_not_lead_there(root, out):
    (root / "here").symlink_to("/usr/share")
    with pytest.raises(FileNotFoundError):
        copied(root, "/here", out)
    (root / "up").symlink_to("../..")
    copied(root, "up/etc/passwd", out)
    assert (out / "got").read_text() == "of the buildroot\n"


def test_the_kernels_own_links_are_not_followed(root, out):
    with opened("/") as inside, pytest.raises(OSError, match=r"loop|symbolic"):
        open_in_root(inside, f"/proc/{os.getpid()}/root/etc/passwd", os.O_RDONLY)


def test_links_in_a_directory_are_copied_as_links_and_other_things_are_left_out_and_named(root, out):
    tree = root / "srv" / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_text("x")
    (tree / "deep" / "file").chmod(0o4755)
    (tree / "outside").symlink_to("/etc/shadow")
    os.mkfifo(tree / "fifo")
    found = copied(root, "/srv/tree", out)
    assert (out / "got" / "outside").readlink().as_posix() == "/etc/shadow"
    assert (out / "got" / "deep" / "file").stat().st_mode & 0o7777 == 0o755
    assert found.skipped == ["tree/fifo"]
    assert found.files == 2


def test_a_link_in_the_way_is_replaced_and_not_written_through(root, out, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("untouched")
    (root / "etc" / "hosts").symlink_to(precious)
    (tmp_path / "hosts").write_text("new")
    with opened(tmp_path) as host, opened(root) as inside, directory_in_root(inside, "/etc") as etc:
        copy_tree((host, "hosts"), (etc, "hosts"), MINE)
    assert precious.read_text() == "untouched"
    assert (root / "etc" / "hosts").read_text() == "new"
    (root / "etc" / "trap").symlink_to(tmp_path)
    (tmp_path / "trap").mkdir()
    with (
        opened(tmp_path) as host,
        opened(root) as inside,
        directory_in_root(inside, "/etc") as etc,
        pytest.raises(NotADirectoryError),
    ):
        copy_tree((host, "trap"), (etc, "trap"), MINE)


def test_a_directory_in_the_way_of_a_file_is_an_error_and_leaves_nothing(root, out):
    (out / "got").mkdir()
    with pytest.raises(DeborchError) as caught:
        copied(root, "/etc/passwd", out)
    assert caught.value.code is ErrorCode.UNSAFE_PATH
    assert [path.name for path in out.iterdir()] == ["got"]


def test_a_tree_that_is_too_deep_is_an_error(root, out):
    deep = root / "deep"
    deep.mkdir()
    for _ in range(220):
        deep /= "d"
        deep.mkdir()
    with pytest.raises(DeborchError, match="deeper than"):
        copied(root, "/deep", out)
