"""Layers: who shares one, what is in it, and that it is the same each time."""

import gzip
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.unit.deb_bootc_compose.outputs.trees import WrittenTree, tree_of

from deb_bootc_compose.outputs.oci.cache import LayerCache
from deb_bootc_compose.outputs.oci.image import Layout
from deb_bootc_compose.outputs.oci.layer import write_layer
from deb_bootc_compose.outputs.oci.owners import DPKG_DATABASE, INITRAMFS, KERNEL, STATE, components
from deb_bootc_compose.outputs.oci.plan import plan
from deb_bootc_compose.outputs.oci.writing import write_layers
from deb_bootc_compose.phases.progress import Silent
from deb_bootc_compose.treefile.outputs import OciSettings


def many_packages(directory: Path, **changed: bytes) -> WrittenTree:
    packages = {
        f"package{number:03}": {f"usr/bin/tool{number}": b"%d\n" % number * (100 * (number % 17 + 1))}
        for number in range(120)
    }
    for name, content in changed.items():
        packages[name] = {f"usr/bin/tool{int(name[-3:])}": content}
    return tree_of(directory, packages)


async def layers_of(tree: WrittenTree, root: Path, settings: OciSettings | None = None) -> dict[str, str]:
    cache = LayerCache(root / "layers")
    layout = Layout(root / "oci")
    written = await write_layers(tree, settings or OciSettings(), cache, layout, workers=2, progress=Silent())
    return {layer.name: layer.written.digest for layer in written}


def test_files_belong_to_the_package_that_dpkg_names_wherever_usr_merge_and_ostree_moved_them(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path, {"bash": {"bin/bash": b"sh", "etc/bash.bashrc": b"rc"}, "linux-image-6.1": {"boot/x": b""}}
    )
    tree.add("usr/bin/bash", b"sh")
    tree.add("usr/lib/modules/6.1/initramfs.img", b"cpio")
    tree.add("usr/lib/modules/6.1/kernel/ext4.ko", b"module")
    tree.add("usr/etc/machine-id")

    found = {entry.path: name for name, component in components(tree).items() for entry in component.entries}

    assert found["/usr/bin/bash"] == found["/usr/etc/bash.bashrc"] == "bash"
    assert found["/usr/lib/modules/6.1/initramfs.img"] == INITRAMFS
    assert found["/usr/lib/modules/6.1/kernel/ext4.ko"] == found["/boot/x"] == KERNEL
    assert found["/usr/etc/machine-id"] == STATE
    assert found["/usr/lib/sysimage/dpkg/status"] == DPKG_DATABASE


@pytest.mark.parametrize("max_layers", [4, 8, 32, 127])
def test_every_component_is_in_one_layer_and_there_are_no_more_layers_than_asked_for(
    tmp_path: Path, max_layers: int
) -> None:
    owned = components(many_packages(tmp_path))

    layers = plan(owned, max_layers)

    assert sorted(name for layer in layers for name in layer.components) == sorted(owned)
    assert len(layers) <= max_layers
    assert [layer.name for layer in layers][-1] == DPKG_DATABASE


async def test_a_changed_package_changes_its_layer_and_the_dpkg_database_alone(tmp_path: Path) -> None:
    before = await layers_of(many_packages(tmp_path / "a"), tmp_path / "one")
    changed = many_packages(tmp_path / "b", package007=b"new" * 100)
    changed.add("usr/lib/sysimage/dpkg/status", b"Package: package007\nVersion: 2\n")

    after = await layers_of(changed, tmp_path / "two")

    assert before.keys() == after.keys()
    different = {name for name in before if before[name] != after[name]}
    assert DPKG_DATABASE in different
    assert len(different) == 2


async def test_a_package_that_comes_moves_no_other_but_what_shares_its_layer(tmp_path: Path) -> None:
    before = await layers_of(many_packages(tmp_path / "a"), tmp_path / "one")
    more = many_packages(tmp_path / "b", package900=b"x")

    after = await layers_of(more, tmp_path / "two")

    assert len({name for name in before if before[name] != after.get(name)}) <= 2


async def test_the_same_tree_gives_the_same_layers_with_and_without_what_the_cache_has(tmp_path: Path) -> None:
    tree = many_packages(tmp_path / "a")
    first = await layers_of(tree, tmp_path / "one")

    again = await layers_of(tree, tmp_path / "one")
    elsewhere = await layers_of(many_packages(tmp_path / "c"), tmp_path / "two")

    assert first == again == elsewhere


async def test_a_layer_that_the_cache_has_by_half_is_written_again(tmp_path: Path) -> None:
    tree = many_packages(tmp_path / "a")
    first = await layers_of(tree, tmp_path / "one")
    for blob in (tmp_path / "one/layers/blobs").iterdir():
        blob.unlink()
        blob.write_bytes(b"half")

    again = await layers_of(tree, tmp_path / "one")

    assert first == again
    for digest in again.values():
        assert hashlib.sha256((tmp_path / "one/layers/blobs" / digest).read_bytes()).hexdigest() == digest


def test_a_layer_is_a_tar_with_owners_modes_links_and_no_times(tmp_path: Path) -> None:
    tree = WrittenTree(tmp_path / "tree")
    tree.add("usr/bin/passwd", b"elf" * 4000, mode=0o4755)
    tree.add("usr/bin/same", b"elf" * 4000, mode=0o4755)
    tree.add("usr/etc/shadow", b"root:*:", mode=0o640, uid=42)
    tree.link("usr/bin/sh", "dash")

    written = write_layer(tree, tree.files, tmp_path / "layer", compression="gzip", level=6)

    content = (tmp_path / "layer").read_bytes()
    plain = gzip.decompress(content)
    assert hashlib.sha256(content).hexdigest() == written.digest
    assert (hashlib.sha256(plain).hexdigest(), len(plain)) == (written.diff_digest, written.diff_bytes)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        members = {member.name: member for member in archive}
        assert archive.extractfile(members["usr/bin/passwd"]).read() == b"elf" * 4000  # type: ignore[union-attr]
    assert list(members) == sorted(members)
    assert members["usr/bin/passwd"].mode == 0o4755
    assert members["usr/bin/same"].islnk() and members["usr/bin/same"].linkname == "usr/bin/passwd"
    assert members["etc/shadow"].uid == 42
    assert members["usr/bin/sh"].linkname == "dash"
    assert {member.mtime for member in members.values()} == {0}
    assert "usr/etc" not in members


def test_zstd_layers_unpack_to_what_gzip_layers_do(tmp_path: Path) -> None:
    tree = many_packages(tmp_path / "tree")

    zstd = write_layer(tree, tree.files, tmp_path / "zstd", compression="zstd", level=3)
    packed = write_layer(tree, tree.files, tmp_path / "gzip", compression="gzip", level=1)

    assert zstd.diff_digest == packed.diff_digest
    unpacked = subprocess.run(["zstd", "-dc", str(tmp_path / "zstd")], check=True, capture_output=True).stdout
    assert hashlib.sha256(unpacked).hexdigest() == zstd.diff_digest


def test_a_file_that_is_shorter_than_the_commit_says_is_an_error_and_not_a_broken_layer(tmp_path: Path) -> None:
    tree = WrittenTree(tmp_path / "tree")
    tree.add("usr/bin/tool", b"whole")
    tree.content(tree.files[-1]).write_bytes(b"ha")

    with pytest.raises(OSError, match="shorter"):
        write_layer(tree, tree.files, tmp_path / "layer", compression="gzip", level=6)
