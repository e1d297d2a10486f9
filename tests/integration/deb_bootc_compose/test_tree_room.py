"""Scripts that run in the tree, as its root: what they can and what they cannot."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deb_bootc_compose.ostree.changes import needs_room, prepare_changes, run_changes
from deb_bootc_compose.ostree.layout import settle
from deb_bootc_compose.ostree.room import room_in
from deb_bootc_compose.ostree.tree import Tree
from deb_bootc_compose.treefile.resolved import ResolvedTreefile
from deborch_shared.errors import DeborchError


@pytest.fixture
def tree(tmp_path):
    """A tree with a shell and nothing else."""
    made = Tree(tmp_path / "place" / "tree")
    made.root.mkdir(parents=True)
    for path in ("/etc", "/run", "/var", "/usr/lib/old"):
        made.make_directory(path)
    made.make_directory("/tmp", 0o1777)  # noqa: S108 - a path in the tree
    libraries = subprocess.run(["ldd", "/bin/sh"], check=True, capture_output=True, text=True).stdout.split()
    for path in ("/bin/sh", *(word for word in libraries if word.startswith("/"))):
        (made.root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, made.root / path.lstrip("/"))
    return made


@pytest.fixture
def run_scripts(tree, tmp_path):
    async def run(*scripts: str):
        treefile = ResolvedTreefile(
            name="t",
            variant="t",
            architecture="amd64",
            directory=tmp_path,
            suite="trixie",
            ref="t",
            postprocess=scripts,
        )
        prepare_changes(tree, treefile)
        assert needs_room(treefile, tree)
        async with room_in(tree, tmp_path / "place" / "changes", lambda _: None, 1_700_000_000) as room:
            await run_changes(tree, treefile, room)
        settle(tree, readonly_executables=False)

    return run


def _mounts():
    return Path("/proc/self/mountinfo").read_text()


async def test_scripts_change_the_tree_in_order_with_the_time_of_the_compose(tree, run_scripts, tmp_path):
    await run_scripts(
        "echo one > /etc/first", "#!/bin/sh\nread line < /etc/first\necho $line $SOURCE_DATE_EPOCH > /etc/2"
    )
    assert tree.read("/etc/2") == "one 1700000000\n"
    assert str(tmp_path) not in _mounts()
    assert sorted(path.name for path in (tmp_path / "place").iterdir()) == ["changes", "tree"]


async def test_a_script_that_fails_shows_its_last_lines_and_leaves_nothing_mounted(run_scripts, tmp_path):
    with pytest.raises(DeborchError) as caught:
        await run_scripts("true", "echo this is why >&2; exit 3")
    assert "postprocess script 2 failed with exit code 3: this is why" in caught.value.message
    assert caught.value.fields["failure_class"] == "tree"
    assert str(tmp_path) not in _mounts()


async def test_a_script_whose_interpreter_is_not_in_the_tree_is_explained(run_scripts):
    with pytest.raises(DeborchError, match="postprocess script 1 failed") as caught:
        await run_scripts("#!/usr/bin/python3\nprint()")
    assert "not in the tree" in caught.value.hint


async def test_a_script_sees_no_network_and_no_file_of_the_host_and_writes_none(tree, run_scripts, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("host")
    await run_scripts(
        f"[ ! -e {secret} ] || exit 1",
        "for device in /sys/class/net/*; do echo ${device##*/}; done > /etc/devices",
        f"(echo broken > {secret}) 2>/dev/null || true",
        "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null && exit 1; true",
        "(echo x > /proc/1/root/etc/escaped) 2>/dev/null || true",
    )
    assert tree.read("/etc/devices") == "lo\n"
    assert secret.read_text() == "host"
    assert not Path("/etc/escaped").exists()


async def test_nothing_of_the_room_is_left_in_the_tree(tree, run_scripts):
    await run_scripts("echo new > /usr/lib/new")
    assert {path for path, _ in tree.walk("/usr/lib")} >= {"/usr/lib/new", "/usr/lib/old"}
    assert tree.names("/etc") == []
    everything = [tree.root, *(tree.root / path.lstrip("/") for path, _ in tree.walk())]
    assert not [path for path in everything if os.listxattr(path, follow_symlinks=False)]
