"""The shape of a tree that boots from OSTree."""

import os

import pytest

from deb_bootc_compose.ostree import layout
from deb_bootc_compose.ostree.var_contents import TMPFILES, move_var_out
from deb_bootc_compose.treefile.tree import Composefs
from deborch_shared.errors import DeborchError

KERNEL = "6.12-cloud-amd64"


def test_the_tree_has_the_directories_and_links_that_bootable_containers_have(tree, treefile):
    layout.place_kernel(tree, layout.kernel_version(tree, treefile()))
    layout.lay_out(tree, treefile(), [])
    links = {
        name: str((tree.root / name).readlink()) for name in ("home", "root", "opt", "usr/local", "media", "ostree")
    }
    assert links == {
        "home": "var/home",
        "root": "var/roothome",
        "opt": "var/opt",
        "usr/local": "../var/usrlocal",
        "media": "run/media",
        "ostree": "sysroot/ostree",
    }
    assert all(tree.names(name) == [] for name in ("boot", "run", "tmp", "var", "sysroot", "dev", "proc", "sys"))
    assert tree.names(f"/usr/lib/modules/{KERNEL}") == ["config", "vmlinuz"]
    assert not tree.exists("/etc")
    assert not tree.exists("/vmlinuz")
    assert tree.read("/usr/etc/passwd") is not None


def test_the_package_database_outlives_var(tree, treefile):
    tree.write("/var/lib/dpkg/status-old", "")
    layout.lay_out(tree, treefile(), [])
    assert "Package: hello" in tree.read("/usr/lib/sysimage/dpkg/status")
    assert not tree.exists("/usr/lib/sysimage/dpkg/status-old")
    assert "L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg" in tree.read(TMPFILES)


def test_var_is_made_again_at_boot_with_owners_modes_and_content(tree):
    tree.write("/var/lib/app/state db", "data", 0o640)
    tree.make_directory("/var/lib/app/spool", 0o2775)
    tree.link("/var/mail-link", "lib/mail%s")
    tree.write("/var/log/dpkg.log", "noise")
    move_var_out(tree, "factory", [])
    lines = tree.read(TMPFILES).splitlines()
    assert "d /var/lib/app/spool 2775 root root - -" in lines
    assert "C /var/lib/app/state\\x20db - - - - -" in lines
    assert "L /var/mail-link - - - - lib/mail%%s" in lines
    assert tree.read("/usr/share/factory/var/lib/app/state db") == "data"
    assert not any("dpkg.log" in line for line in lines)
    assert tree.names("/var") == []


def test_what_tmpfiles_of_a_package_make_is_not_made_twice(tree):
    tree.write("/usr/lib/tmpfiles.d/app.conf", "d /var/lib/app 0700 app app -\n")
    tree.make_directory("/var/lib/app")
    move_var_out(tree, "factory", ["d /var/lib/app 0755 root root - -"])
    assert "/var/lib/app " not in tree.read(TMPFILES)


def test_files_of_var_are_dropped_or_refused_as_the_policy_says(tree):
    tree.remove("/var/lib")
    tree.write("/var/lib/app/state", "data")
    with pytest.raises(DeborchError, match="1 files in /var: /var/lib/app/state"):
        move_var_out(tree, "refuse", [])
    assert move_var_out(tree, "tmpfiles", []) == ["/var/lib/app/state"]
    assert not tree.exists("/usr/share/factory/var")


def test_what_packages_put_into_opt_stays_part_of_the_image(tree, treefile):
    tree.write("/opt/vendor/bin/tool", "x", 0o755)
    layout.lay_out(tree, treefile(), [])
    assert tree.read("/usr/lib/opt/vendor/bin/tool") == "x"
    assert "L /var/opt/vendor - - - - ../../usr/lib/opt/vendor" in tree.read(TMPFILES)


def test_opt_and_local_may_stay_in_the_image_or_be_overlays(tree, treefile):
    with pytest.raises(DeborchError, match="no state overlays"):
        layout.lay_out(tree, treefile(opt_usrlocal="stateoverlay"), [])


def test_several_kernels_are_refused_by_name_and_none_is_an_error_but_for_containers(tree, treefile):
    tree.write("/boot/vmlinuz-6.11", "")
    with pytest.raises(DeborchError, match=r"2 kernels are installed: 6\.11, 6\.12-cloud-amd64"):
        layout.kernel_version(tree, treefile())
    tree.make_empty("/boot")
    with pytest.raises(DeborchError, match="no kernel is installed"):
        layout.kernel_version(tree, treefile())
    assert layout.kernel_version(tree, treefile(kernel=None, container=True)) is None


def test_composefs_is_what_the_suite_can(tree, treefile):
    layout.write_boot_settings(tree, treefile(kargs=("quiet", 'x="y"')))
    assert "enabled = maybe" in tree.read(layout.PREPARE_ROOT)
    assert tree.read("/usr/lib/bootc/kargs.d/10-treefile.toml") == 'kargs = ["quiet", "x=\\"y\\""]\n'
    with pytest.raises(DeborchError, match="cannot do it"):
        layout.write_boot_settings(tree, treefile(composefs=Composefs.YES))
    tree.write("/var/lib/dpkg/info/libcomposefs1:amd64.list", "")
    layout.write_boot_settings(tree, treefile())
    assert "enabled = yes" in tree.read(layout.PREPARE_ROOT)


def test_what_ostree_cannot_hold_is_gone_and_executables_can_be_made_read_only(tree):
    os.mkfifo(tree.root / "usr/lib/fifo")
    total = layout.settle(tree, readonly_executables=True)
    assert not tree.exists("/usr/lib/fifo")
    assert tree.where("/usr/bin/hello").stat().st_mode & 0o777 == 0o555
    assert total > 0


def test_a_name_that_is_not_utf8_is_refused(tree):
    (tree.root / os.fsdecode(b"bad\xff")).write_text("")
    with pytest.raises(DeborchError, match="not UTF-8"):
        layout.settle(tree, readonly_executables=False)
