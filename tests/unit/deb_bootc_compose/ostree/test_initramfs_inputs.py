"""When an initramfs may be used again."""

import pytest

from deb_bootc_compose.ostree.initramfs import configure_initramfs
from deb_bootc_compose.ostree.initramfs_inputs import initramfs_inputs
from deb_bootc_compose.treefile.packages import Initramfs, InitramfsGenerator
from deborch_shared.errors import DeborchError

KERNEL = "6.12-cloud-amd64"


@pytest.fixture
def booting(tree):
    """With dracut, whose module takes systemd by its name."""
    tree.write("/usr/bin/dracut", "#!/bin/bash", 0o755)
    tree.write("/usr/lib/dracut/modules.d/98ostree/module-setup.sh", "inst_multiple systemd btrfs -o")
    tree.write("/usr/lib/systemd/systemd", "binary", 0o755)
    tree.write("/var/lib/dpkg/info/systemd.list", "/usr/lib/systemd/systemd\n/usr/share/doc/systemd/NEWS\n")
    return tree


def _key(tree, *more: str):
    return initramfs_inputs(tree, KERNEL, more)


def _replace(tree, path, old, new):
    tree.write(path, tree.read(path).replace(old, new))


def test_a_leaf_package_may_change_come_and_go(booting):
    before = _key(booting)
    _replace(booting, "/var/lib/dpkg/status", "Version: 2.10-5", "Version: 2.12-1")
    booting.write("/usr/bin/hello", "another hello", 0o755)
    booting.write("/usr/bin/curl-like", "new", 0o755)
    assert _key(booting) == before


@pytest.mark.parametrize(
    ("old", "new"), [("Version: 257.1\nDepends", "Version: 257.2\nDepends"), ("Version: 2.41-1", "Version: 2.41-2")]
)
def test_a_package_that_is_taken_from_or_one_that_it_depends_on_matters(booting, old, new):
    before = _key(booting)
    _replace(booting, "/var/lib/dpkg/status", old, new)
    assert _key(booting) != before


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/btrfs",
        "/usr/lib/dracut/modules.d/99mine/module-setup.sh",
        "/etc/modprobe.d/blacklist.conf",
        "/usr/lib/ostree/prepare-root.conf",
        f"/usr/lib/modules/{KERNEL}/extra.ko",
        "/usr/lib/firmware/card.bin",
        "/etc/fstab",
    ],
)
def test_a_new_file_that_dracut_would_take_matters(booting, path):
    before = _key(booting)
    booting.write(path, "new")
    assert _key(booting) != before


def test_arguments_matter(booting):
    assert _key(booting) != _key(booting, "--add-fips")


def test_a_generator_that_makes_none_for_ostree_is_refused_with_the_fix(booting, treefile):
    tools = Initramfs(generator=InitramfsGenerator.INITRAMFS_TOOLS)
    with pytest.raises(DeborchError, match="initramfs-tools cannot make") as caught:
        configure_initramfs(booting, treefile(initramfs=tools))
    assert "dracut" in caught.value.hint
    configure_initramfs(booting, treefile(initramfs=Initramfs(omit_modules=("lvm",))))
    settings = booting.read("/usr/lib/dracut/dracut.conf.d/90-image.conf")
    assert 'omit_dracutmodules+=" lvm "' in settings
    assert "hostonly=no" in settings
