"""Paths in foreign trees, and what is put into and taken out of them."""

import errno
import hashlib
from types import SimpleNamespace

import pytest

from deb_bootc_compose.failures import FailureClass, failure
from deb_bootc_compose.ostree import changes, contents, phase
from deb_bootc_compose.ostree.identity import set_identity, set_os_release
from deb_bootc_compose.ostree.phase import OstreePhase
from deb_bootc_compose.treefile.tree import AddedFile, RemovedFromPackage
from deborch_shared.errors import DeborchError, ErrorCode


def test_a_link_of_the_tree_that_points_to_the_host_is_followed_within_the_tree(tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    tree.link("/etc/absolute", str(outside))
    tree.link("/etc/upwards", "../../../../../../../.." + str(outside))
    for name in ("absolute", "upwards"):
        tree.write(f"/etc/{name}/file", "inside")
    assert list(outside.iterdir()) == []
    assert (tree.root / str(outside).lstrip("/") / "file").read_text() == "inside"


def test_a_file_is_written_in_place_of_a_link_and_not_through_it(tree, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    tree.link("/etc/hostname", str(victim))
    tree.write("/etc/hostname", "theirs")
    assert victim.read_text() == "mine"
    assert tree.read("/etc/hostname") == "theirs"


def test_a_circle_of_links_is_an_error_of_the_tree(tree):
    tree.link("/etc/a", "b")
    tree.link("/etc/b", "a")
    with pytest.raises(DeborchError, match="circle of links") as caught:
        tree.read("/etc/a")
    assert caught.value.fields["failure_class"] == "tree"


def test_documentation_goes_and_copyright_files_stay(tree):
    tree.write("/usr/share/doc/hello/copyright", "GPL")
    tree.write("/usr/share/doc/hello/README", "read me")
    tree.write("/usr/share/doc/bare/README", "read me")
    tree.write("/usr/share/man/man1/hello.1.gz", "man")
    contents.remove_documentation(tree)
    assert tree.names("/usr/share/doc/hello") == ["copyright"]
    assert not tree.exists("/usr/share/doc/bare")
    assert tree.names("/usr/share/man") == []


def test_a_kept_language_keeps_its_territories_and_other_languages_go(tree):
    for name in ("de", "de_AT", "fr", "pt_BR"):
        tree.write(f"/usr/share/locale/{name}/LC_MESSAGES/x.mo", "")
    tree.write("/usr/share/locale/locale.alias", "")
    contents.remove_translations(tree, ["de", "pt_BR"])
    assert tree.names("/usr/share/locale") == ["de", "de_AT", "locale.alias", "pt_BR"]


def test_files_are_removed_from_a_package_by_the_paths_that_it_has_them_at(tree):
    contents.remove_from_packages(tree, [RemovedFromPackage(package="hello", patterns=("/bin/h.*",))])
    assert not tree.exists("/usr/bin/hello")


@pytest.mark.parametrize(
    ("package", "pattern", "message"), [("hello", "/nothing", "no file of hello"), ("absent", ".*", "not in the tree")]
)
def test_a_removal_that_removes_nothing_is_an_error(tree, package, pattern, message):
    with pytest.raises(DeborchError, match=message):
        contents.remove_from_packages(tree, [RemovedFromPackage(package=package, patterns=(pattern,))])


def test_removing_a_link_to_a_directory_leaves_the_directory(tree):
    contents.remove_files(tree, ["/bin"])
    assert not tree.exists("/bin")
    assert tree.exists("/usr/bin/hello")


def test_wild_cards_match_within_one_part_of_a_path(tree):
    for path in ("/usr/share/a/x.log", "/usr/share/b/x.log", "/usr/share/b/keep", "/usr/share/b/c/x.log"):
        tree.write(path, "")
    contents.remove_files(tree, ["usr/share/?/*.log", "/absent/*"])
    assert [path for path, _ in tree.walk("/usr/share") if "." in path] == ["/usr/share/b/c/x.log"]
    assert tree.exists("/usr/share/b/keep")


def test_added_files_have_modes_that_do_not_depend_on_umasks(tree, treefile, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "script").write_text("#!/bin/sh")
    (tmp_path / "files" / "script").chmod(0o700)
    (tmp_path / "motd").write_text("hi")
    (tmp_path / "motd").chmod(0o600)
    added = (
        AddedFile(source="files/script", destination="/usr/libexec/script"),
        AddedFile(source="motd", destination="/etc/motd"),
        AddedFile(source="motd", destination="/etc/secret", mode=0o400),
    )
    contents.add_files(tree, treefile(add_files=added))
    modes = [tree.where(path).stat().st_mode & 0o777 for path in ("/usr/libexec/script", "/etc/motd", "/etc/secret")]
    assert modes == [0o755, 0o644, 0o400]


def test_a_file_that_changed_since_the_treefile_was_read_is_refused(tree, treefile, tmp_path):
    (tmp_path / "motd").write_text("hi")
    digests = {"motd": hashlib.sha256(b"hi").hexdigest()}
    resolved = treefile(
        add_files=(AddedFile(source="motd", destination="/etc/motd"),), postprocess_script="motd", files=digests
    )
    contents.add_files(tree, resolved)
    assert tree.read("/etc/motd") == "hi"
    (tmp_path / "motd").write_text("other")
    for read in (lambda: contents.add_files(tree, resolved), lambda: changes.scripts(resolved)):
        with pytest.raises(DeborchError, match="motd has changed since the compose began"):
            read()


async def test_a_file_that_became_executable_makes_another_tree(treefile, tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh")
    resolved = treefile(add_files=(AddedFile(source="tool", destination="/usr/bin/tool"),))
    work = SimpleNamespace(
        treefile=resolved,
        tools=SimpleNamespace(digest=""),
        request=SimpleNamespace(version=None, source_date_epoch=None),
    )
    before = await OstreePhase().inputs(work)
    (tmp_path / "tool").chmod(0o755)
    assert await OstreePhase().inputs(work) != before


@pytest.mark.parametrize(
    "error",
    [
        failure(
            FailureClass.TREE,
            ErrorCode.PROCESS_FAILED,
            "x",
            hint="",
            output="tar: a: Cannot write: No space left on device",
        ),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
async def test_a_disk_that_is_full_while_a_tree_is_made_is_no_fault_of_the_tree(treefile, tmp_path, monkeypatch, error):
    async def full(_):
        raise error

    monkeypatch.setattr(phase, "_make", full)
    monkeypatch.setattr(phase, "require_root", lambda: None)
    with pytest.raises(DeborchError, match="is full") as caught:
        await OstreePhase().run(SimpleNamespace(state=SimpleNamespace(root=tmp_path)))
    assert (caught.value.code, caught.value.fields["failure_class"]) == (ErrorCode.DISK_FULL, FailureClass.HOST)


def test_only_installed_packages_are_listed(tree):
    assert [name for name, _, _ in contents.installed_packages(tree)] == [
        "hello",
        "libc6",
        "libsystemd-shared",
        "systemd",
    ]


def test_os_release_fields_replace_those_of_the_package_and_the_version_is_put_in(tree):
    tree.write("/usr/lib/os-release", 'NAME="Debian"\nID=debian\n')
    set_os_release(tree, {"NAME": 'My "OS"', "VERSION": "${version} (edge)"}, "13.4")
    lines = tree.read("/usr/lib/os-release").splitlines()
    assert lines == ["ID=debian", 'NAME="My \\"OS\\""', 'VERSION="13.4 (edge)"', "OSTREE_VERSION=13.4"]


def test_os_release_stays_as_it_is_if_nothing_is_asked_for(tree):
    tree.write("/usr/lib/os-release", "ID=debian\n")
    set_os_release(tree, {}, "13.4")
    assert tree.read("/usr/lib/os-release") == "ID=debian\n"


def test_utc_needs_no_package_and_other_zones_need_tzdata(tree, treefile):
    set_identity(tree, treefile(timezone="Etc/UTC", hostname="box"))
    assert tree.read("/etc/hostname") == "box\n"
    assert tree.read("/etc/machine-id") == ""
    with pytest.raises(DeborchError, match="no time zone Europe/Berlin") as caught:
        set_identity(tree, treefile(timezone="Europe/Berlin"))
    assert "tzdata" in caught.value.hint


def test_nothing_of_the_machine_that_composes_stays(tree, treefile):
    tree.write("/etc/resolv.conf", "nameserver 192.0.2.1")
    tree.write("/etc/passwd-", "old")
    set_identity(tree, treefile(machineid_compat=False))
    assert not any(tree.exists(f"/etc/{name}") for name in ("resolv.conf", "passwd-", "machine-id"))
